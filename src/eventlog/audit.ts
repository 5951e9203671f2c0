/**
 * Is the log what it claims to be? Gapless, chained, and equal to the tables when folded. For tests, for
 * `muster dev --once`, and for whoever doubts.
 */
import type { Sql } from '../db/driver.ts';
import { foldEntry } from '../reducer/state/apply.ts';
import { dump, restore } from '../reducer/state/rows-io.ts';
import { emptyState, type FleetState, type StateRows } from '../reducer/state/state.ts';
import { millisOf } from '../reducer/time.ts';
import { chainHash, GENESIS, type ChainRow } from './chain.ts';
import { walkLog, type LogRow } from './read.ts';
import { loadState } from './state.ts';

type Run = <T>(read: (sql: Sql) => Promise<T>) => Promise<T>;

/** Applies rows to `state`, deciding nothing. */
export function foldLog(state: FleetState, rows: readonly LogRow[]): void {
  for (const row of rows) {
    foldEntry(state, row);
    state.headSeq = row.seq;
    state.lastTs = millisOf(row.ts);
  }
}

/** The whole log, folded from empty. */
export async function foldWholeLog(run: Run): Promise<StateRows> {
  const state = emptyState();
  for await (const page of walkLog(run)) foldLog(state, page);
  return dump(state);
}

/** Names of the row families in which two states differ; empty: they are equal, field for field. */
export function differences(a: StateRows, b: StateRows): string[] {
  const left = families(a);
  const right = families(b);
  return Object.keys(left).filter((name) => left[name] !== right[name]);
}

/** Each family as text with sorted keys: the order of fields means nothing. */
function families(rows: StateRows): Record<string, string> {
  return Object.fromEntries(
    Object.entries(rows).map(([name, value]) => [name, JSON.stringify(sortKeys(value))]),
  );
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== 'object' || value === null) return value;
  const sorted = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(sorted.map(([key, inner]) => [key, sortKeys(inner)]));
}

export interface Audit {
  readonly rows: number;
  readonly gapless: boolean;
  /** The first seq whose hash does not follow from what is there; null when all do. */
  readonly brokenAt: number | null;
  /** Families in which the tables are not the fold. */
  readonly unequal: readonly string[];
}

/** Meant for a quiet system: it reads the log first and the tables afterwards. */
export async function audit(run: Run): Promise<Audit> {
  const chain = await verifyChain(run);
  const folded = await foldWholeLog(run);
  const tables = dump(restore(await run(loadState)));
  return { ...chain, unequal: differences(folded, tables) };
}

/** A page of the chain walk; rows carry their text as stored. */
const PAGE = 5_000;

export async function verifyChain(run: Run): Promise<Omit<Audit, 'unequal'>> {
  let previous: Uint8Array = GENESIS;
  let rows = 0;
  let last = 0;
  let gapless = true;
  let brokenAt: number | null = null;
  for (;;) {
    const page = await run((sql) => chainPage(sql, last));
    if (page.length === 0) return { rows, gapless, brokenAt };
    for (const row of page) {
      gapless &&= row.seq === last + 1;
      if (brokenAt === null && !chainHash(previous, row).equals(row.hash)) brokenAt = row.seq;
      previous = row.hash;
      last = row.seq;
      rows += 1;
    }
  }
}

function chainPage(sql: Sql, after: number): Promise<readonly (ChainRow & { hash: Buffer })[]> {
  return sql<(ChainRow & { hash: Buffer })[]>`
    SELECT seq, ts, epoch, kind, hostname, rollout_id AS "rolloutId", channel, actor,
      caused_by AS "causedBy", payload::text AS payload, hash
    FROM event_log WHERE seq > ${after} ORDER BY seq LIMIT ${PAGE}`;
}
