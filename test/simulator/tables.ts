/** The derived tables as committed: whole rows by key, written as a commit writes them. */
import type {
  BlockerRow,
  ChannelRow,
  DispatchRow,
  EnrolmentRow,
  HostRow,
  ProbeFailureRow,
  QuarantineRow,
  RecordRow,
  RolloutRow,
  TokenRow,
} from '../../src/reducer/state/rows.ts';
import { REPORTED, type TouchedRows } from '../../src/reducer/state/touched.ts';
import { emptyFleetRow, type StateRows } from '../../src/reducer/state/state.ts';

interface OfHost {
  readonly rolloutId: string;
  readonly hostname: string;
}

export const keyOf = ({ rolloutId, hostname }: OfHost): string => `${rolloutId} ${hostname}`;
const closureKey = (row: Pick<QuarantineRow, 'channel' | 'closure'>): string =>
  `${row.channel} ${row.closure}`;
const failureKey = (row: Omit<ProbeFailureRow, 'seq' | 'since'>): string =>
  `${keyOf(row)} ${row.probeName} ${row.controlId}`;

export class Tables {
  fleet = emptyFleetRow();
  readonly channels = new Map<string, ChannelRow>();
  readonly rollouts = new Map<string, RolloutRow>();
  readonly records = new Map<string, RecordRow>();
  readonly hosts = new Map<string, HostRow>();
  readonly dispatches = new Map<string, DispatchRow>();
  readonly quarantines = new Map<string, QuarantineRow>();
  readonly failures = new Map<string, ProbeFailureRow>();
  readonly blockers = new Map<string, BlockerRow>();
  readonly tokens = new Map<string, TokenRow>();
  readonly enrolments = new Map<string, EnrolmentRow>();

  /** In the order of a real commit's statements. */
  write(rows: TouchedRows): void {
    const { removed } = rows;
    this.fleet = rows.fleet ?? this.fleet;
    for (const row of rows.channels) this.channels.set(row.channel, row);
    for (const row of rows.rollouts) this.rollouts.set(row.rolloutId, row);
    for (const row of rows.records) this.records.set(keyOf(row), row);
    for (const row of rows.reports) this.report(row);
    for (const row of rows.hosts) this.hosts.set(row.hostname, row);
    for (const key of removed.dispatches) this.dispatches.delete(keyOf(key));
    for (const row of rows.dispatches) this.dispatches.set(keyOf(row), row);
    for (const key of removed.quarantines) this.quarantines.delete(closureKey(key));
    for (const row of rows.quarantines) this.quarantines.set(closureKey(row), row);
    for (const key of removed.probeFailures) this.failures.delete(failureKey(key));
    for (const row of rows.probeFailures) this.failures.set(failureKey(row), row);
    for (const key of removed.blockers) this.blockers.delete(keyOf(key));
    for (const row of rows.blockers) this.blockers.set(keyOf(row), row);
    for (const { tokenId } of removed.tokens) this.tokens.delete(tokenId);
    for (const row of rows.tokens) this.tokens.set(row.tokenId, row);
    for (const { nonce } of removed.enrolments) this.enrolments.delete(nonce);
    for (const row of rows.enrolments) this.enrolments.set(row.nonce, row);
    for (const id of removed.pruned) this.prune(id);
  }

  /** Only the columns that the statement writes. */
  private report(row: RecordRow): void {
    const there = this.records.get(keyOf(row));
    if (there === undefined) return;
    const reported = Object.fromEntries(REPORTED.map((field) => [field, row[field]]));
    this.records.set(keyOf(row), { ...there, ...reported });
  }

  private prune(rolloutId: string): void {
    for (const table of [this.records, this.dispatches, this.failures, this.blockers]) {
      for (const [key, row] of table) if (row.rolloutId === rolloutId) table.delete(key);
    }
  }

  copy(): Tables {
    const made = new Tables();
    made.fleet = this.fleet;
    copyInto(this.channels, made.channels);
    copyInto(this.rollouts, made.rollouts);
    copyInto(this.records, made.records);
    copyInto(this.hosts, made.hosts);
    copyInto(this.dispatches, made.dispatches);
    copyInto(this.quarantines, made.quarantines);
    copyInto(this.failures, made.failures);
    copyInto(this.blockers, made.blockers);
    copyInto(this.tokens, made.tokens);
    copyInto(this.enrolments, made.enrolments);
    return made;
  }

  rows(headSeq: number, lastTs: number): StateRows {
    return {
      ...{ headSeq, lastTs, fleet: this.fleet },
      channels: [...this.channels.values()],
      rollouts: [...this.rollouts.values()],
      records: [...this.records.values()],
      hosts: [...this.hosts.values()],
      dispatches: [...this.dispatches.values()],
      quarantines: [...this.quarantines.values()],
      probeFailures: [...this.failures.values()],
      blockers: [...this.blockers.values()],
      tokens: [...this.tokens.values()],
      enrolments: [...this.enrolments.values()],
    };
  }
}

function copyInto<V>(from: ReadonlyMap<string, V>, to: Map<string, V>): void {
  for (const [key, value] of from) to.set(key, value);
}
