/**
 * Replaying the log: chain and fold in one walk, from empty or from a snapshot, and comparing what was folded
 * with what the tables hold. Nothing is decided here; `redecide.ts` does that.
 */
import { foldEntry } from '../reducer/state/apply.ts';
import { emptyState, type FleetState, type StateRows } from '../reducer/state/state.ts';
import { millisOf } from '../reducer/time.ts';
import { NewerPayloadError } from '../wire/log.ts';
import { ChainCheck, type Link } from './chain-check.ts';
import type { LogRow } from './read.ts';
import { openRow, type StoredRow } from './stored.ts';
import { FAMILIES } from './tables.ts';

/** Where a replay begins: a state, and the hash of the row that it belongs to. */
export interface Start {
  readonly rows: StateRows;
  readonly hash: Uint8Array;
  /** Fields of this version, as `hosts.hold`, that `rows` have as null only because whoever wrote them did not know them. */
  readonly lacks: readonly string[];
}

/** Where a fold could not go on. */
export interface Stop {
  readonly seq: number;
  readonly why: string;
}

export interface Replayed {
  /** As of the row before `stopped`, and of no use, when it was. */
  readonly state: FleetState;
  /** Rows folded; only chained, where nothing was to be folded. */
  readonly rows: number;
  /** The last row walked; where it began when there was none. */
  readonly seq: number;
  readonly hash: Uint8Array;
  /** The first seq that is missing; null when none is. */
  readonly missing: number | null;
  /** The first seq whose hash does not follow, or is not `start`'s; null when all do. */
  readonly brokenAt: number | null;
  /** The first row that could not be folded; null when all could. */
  readonly stopped: Stop | null;
}

export interface ReplayOptions {
  /** The row before the first; null: from the beginning. */
  readonly from: Link | null;
  /** False: only the chain. */
  readonly fold: boolean;
  /** The state after `start`; is changed. Absent: empty. */
  readonly state?: FleetState;
  /** Rows up to this one are only chained, and it must have this hash. Absent: `from`. */
  readonly start?: Link | null;
  /** The row that must be there. Absent: as far as the pages go. */
  readonly through?: number;
}

/** Walks `pages`, which must begin after `from`. Goes on where a row cannot be folded, to check the chain. */
export async function replay(
  pages: AsyncIterable<readonly StoredRow[]>,
  { from, fold, state = emptyState(), start = from, through = 0 }: ReplayOptions,
): Promise<Replayed> {
  const chain = new ChainCheck(from, start);
  const after = start?.seq ?? 0;
  let rows = 0;
  let stopped: Stop | null = null;
  for await (const page of pages) {
    for (const row of page) {
      chain.take(row);
      if (row.seq <= after) continue;
      rows += 1;
      if (fold && stopped === null) stopped = foldOrStop(state, row, chain);
    }
  }
  chain.reach(through);
  const { seq, hash, missing, brokenAt } = chain;
  return { state, rows, seq, hash, missing, brokenAt, stopped };
}

function foldOrStop(state: FleetState, row: StoredRow, chain: ChainCheck): Stop | null {
  try {
    foldLog(state, [openRow(row)]);
    return null;
  } catch (error) {
    return stopAt(row.seq, error, chain.whole);
  }
}

/** Why nothing goes on at a row. Throws where that is this Muster's fault and not the log's, whose chain is `whole`. */
export function stopAt(seq: number, error: unknown, whole: boolean): Stop {
  const why = error instanceof Error ? error.message : String(error);
  if (!(error instanceof NewerPayloadError)) return { seq, why };
  if (whole) throw new Error(`row ${seq}: ${why}`, { cause: error });
  return { seq, why: 'a log payload of an unknown version' };
}

/** Applies rows to `state`, deciding nothing. */
export function foldLog(state: FleetState, rows: readonly LogRow[]): void {
  for (const row of rows) {
    foldEntry(state, row);
    state.lastTs = millisOf(row.ts);
  }
}

export interface Difference {
  /** Family of rows, such as `records`. */
  readonly family: string;
  /** What the row is of. */
  readonly key: string;
  /** Field that differs; null: one side has no such row. */
  readonly field: string | null;
  readonly folded: unknown;
  readonly stored: unknown;
}

type Row = Readonly<Record<string, unknown>>;

export interface CompareOptions {
  /** Differences at most. */
  readonly limit?: number;
  /** What to leave out, as `hosts.hold`. */
  readonly except?: readonly string[];
}

/**
 * Every field in which two states differ, in a fixed order. Only of the fields that this version knows: a fold keeps
 * what a newer one assigned, which no table that is read by this version's columns can show.
 */
export function compare(
  folded: StateRows,
  stored: StateRows,
  { limit = Infinity, except = [] }: CompareOptions = {},
): Difference[] {
  const found: Difference[] = [];
  const left = families(folded);
  const right = families(stored);
  for (const [family, rows] of left) {
    const fields = [...fieldsOf(family)].filter((field) => !except.includes(`${family}.${field}`));
    const others = right.get(family) ?? new Map<string, Row>();
    compareFamily({ family, fields }, rows, others, found);
    if (found.length >= limit) return found.slice(0, limit);
  }
  return found;
}

/** Fields that the log assigned and this version does not know, as `hosts.hold`: a newer one wrote them. */
export function unknownFields(folded: StateRows): string[] {
  const found = new Set<string>();
  for (const [family, rows] of families(folded)) {
    const known = fieldsOf(family);
    for (const row of rows.values()) {
      for (const field of Object.keys(row)) if (!known.has(field)) found.add(`${family}.${field}`);
    }
  }
  return [...found].sort();
}

const HEAD = { headSeq: true, lastTs: true };

const FIELDS: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  [
    ['head', HEAD] as const,
    ...Object.entries(FAMILIES).map(([f, t]) => [f, t.columns] as const),
  ].map(([family, fields]) => [family, new Set(Object.keys(fields))]),
);

function fieldsOf(family: string): ReadonlySet<string> {
  return FIELDS.get(family) ?? new Set();
}

function families(rows: StateRows): Map<string, Map<string, Row>> {
  const { headSeq, lastTs, fleet, ...lists } = rows;
  const one = (row: Row): Map<string, Row> => new Map([['', row]]);
  return new Map([
    ['head', one({ headSeq, lastTs })],
    ['fleet', one({ ...fleet })],
    ...Object.entries(lists).map(([family, list]): [string, Map<string, Row>] => {
      const keyed = list.map((row): [string, Row] => {
        const fields: Row = { ...row };
        return [
          keyOf(family)
            .map((name) => String(fields[name]))
            .join(' '),
          fields,
        ];
      });
      return [family, new Map(keyed)];
    }),
  ]);
}

/** Which fields name a row. */
function keyOf(family: string): readonly string[] {
  return Object.entries(FAMILIES).find(([name]) => name === family)?.[1].key ?? [];
}

function compareFamily(
  { family, fields }: { readonly family: string; readonly fields: readonly string[] },
  folded: ReadonlyMap<string, Row>,
  stored: ReadonlyMap<string, Row>,
  found: Difference[],
): void {
  for (const key of new Set([...folded.keys(), ...stored.keys()])) {
    const a = folded.get(key);
    const b = stored.get(key);
    if (a === undefined || b === undefined) {
      found.push({ family, key, field: null, folded: a ?? null, stored: b ?? null });
      continue;
    }
    for (const field of fields) {
      // Most are plain and equal; only what is nested is worth a text.
      if (a[field] === b[field] || sorted(a[field]) === sorted(b[field])) continue;
      found.push({ family, key, field, folded: a[field], stored: b[field] });
    }
  }
}

/** As text with sorted keys: the order of fields means nothing. */
export function sorted(value: unknown): string | undefined {
  return JSON.stringify(sortKeys(value));
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sortKeys(inner)]));
}
