/** The derived tables as a commit writes them: whole rows by key, and removals. */
import { REPORTED, type TouchedRows } from '../../../src/reducer/state/touched.ts';
import { emptyFleetRow, type StateRows } from '../../../src/reducer/state/state.ts';

class Table<Row extends object> {
  private readonly rows = new Map<string, Row>();
  private readonly keyOf: (row: Row) => string;

  constructor(keyOf: (row: Row) => string) {
    this.keyOf = keyOf;
  }

  write(rows: readonly Row[], gone: readonly string[] = []): void {
    for (const key of gone) this.rows.delete(key);
    for (const row of rows) this.rows.set(this.keyOf(row), row);
  }

  /** These columns of rows that are there. */
  patch(rows: readonly Row[], columns: readonly (keyof Row)[]): void {
    for (const row of rows) {
      const before = this.rows.get(this.keyOf(row));
      if (before === undefined) continue;
      const after = { ...before };
      for (const column of columns) after[column] = row[column];
      this.rows.set(this.keyOf(row), after);
    }
  }

  drop(where: (row: Row) => boolean): void {
    for (const [key, row] of this.rows) if (where(row)) this.rows.delete(key);
  }

  sorted(): Row[] {
    return [...this.rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
  }
}

interface OfHost {
  readonly rolloutId: string;
  readonly hostname: string;
}

const host = ({ rolloutId, hostname }: OfHost) => `${rolloutId}\u0000${hostname}`;
const closure = (row: { channel: string; closure: string }) => `${row.channel}\u0000${row.closure}`;
const failure = (row: OfHost & { probeName: string; controlId: string }) =>
  `${host(row)}\u0000${row.probeName}\u0000${row.controlId}`;

const token = ({ tokenId }: { tokenId: string }) => tokenId;

export class Tables {
  private fleet = emptyFleetRow();
  private readonly channels = new Table<StateRows['channels'][number]>((row) => row.channel);
  private readonly rollouts = new Table<StateRows['rollouts'][number]>((row) => row.rolloutId);
  private readonly records = new Table<StateRows['records'][number]>(host);
  private readonly hosts = new Table<StateRows['hosts'][number]>((row) => row.hostname);
  private readonly dispatches = new Table<StateRows['dispatches'][number]>(host);
  private readonly quarantines = new Table<StateRows['quarantines'][number]>(closure);
  private readonly failures = new Table<StateRows['probeFailures'][number]>(failure);
  private readonly blockers = new Table<StateRows['blockers'][number]>(host);
  private readonly tokens = new Table<StateRows['tokens'][number]>(token);
  private readonly enrolments = new Table<StateRows['enrolments'][number]>((row) => row.nonce);

  write(touched: TouchedRows): void {
    const { removed } = touched;
    this.fleet = touched.fleet ?? this.fleet;
    this.channels.write(touched.channels);
    this.rollouts.write(touched.rollouts);
    this.records.write(touched.records);
    this.records.patch(touched.reports, REPORTED);
    this.hosts.write(touched.hosts);
    this.dispatches.write(touched.dispatches, removed.dispatches.map(host));
    this.quarantines.write(touched.quarantines, removed.quarantines.map(closure));
    this.failures.write(touched.probeFailures, removed.probeFailures.map(failure));
    this.blockers.write(touched.blockers, removed.blockers.map(host));
    this.tokens.write(touched.tokens, removed.tokens.map(token));
    this.enrolments.write(
      touched.enrolments,
      removed.enrolments.map(({ nonce }) => nonce),
    );
    for (const id of removed.pruned) this.prune(({ rolloutId }) => rolloutId === id);
  }

  private prune(where: (row: { readonly rolloutId: string }) => boolean): void {
    for (const table of [this.records, this.dispatches, this.failures, this.blockers])
      table.drop(where);
  }

  rows(): Omit<StateRows, 'headSeq' | 'lastTs'> {
    return {
      fleet: this.fleet,
      channels: this.channels.sorted(),
      rollouts: this.rollouts.sorted(),
      records: this.records.sorted(),
      hosts: this.hosts.sorted(),
      dispatches: this.dispatches.sorted(),
      quarantines: this.quarantines.sorted(),
      probeFailures: this.failures.sorted(),
      blockers: this.blockers.sorted(),
      tokens: this.tokens.sorted(),
      enrolments: this.enrolments.sorted(),
    };
  }
}

/** What the tables hold of a state: the head belongs to the log. */
export function withoutHead({ headSeq: _, lastTs: __, ...rows }: StateRows) {
  return rows;
}
