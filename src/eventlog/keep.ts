/**
 * Keeping the log bounded and provable: checkpoints of its head, snapshots that are folded and compared, and
 * partitions that leave it. The worker `log` says when; nothing here deletes a row.
 */
import path from 'node:path';
import type { DatabaseOptions, Sql } from '../db/driver.ts';
import { sqlState } from '../db/errors.ts';
import type { Pool } from '../db/pool.ts';
import { openSession } from '../db/session.ts';
import { inTransaction } from '../db/transaction.ts';
import { dump, restore } from '../reducer/state/rows-io.ts';
import { emptyState } from '../reducer/state/state.ts';
import { lastHashOf, writeArchive } from './archive.ts';
import { readLeft } from './detached.ts';
import { compare, replay, type Replayed, type Start } from './replay.ts';
import {
  loadSnapshot,
  newestSnapshot,
  provenSnapshot,
  snapshotColumns,
  takeSnapshot,
} from './snapshot.ts';
import { walkDetached, walkStored } from './stored.ts';

export interface Checkpoint {
  readonly incarnation: string;
  readonly seq: number;
  /** Hexadecimal. */
  readonly hash: string;
}

export interface Bounds {
  /** Milliseconds: rows of a partition are due when all are older, by the database's clock. */
  readonly keepMs: number | null;
  /** The lowest partition is due when the log is larger. */
  readonly mostBytes: number | null;
}

export interface Proof {
  /** The first difference in words, or why none can be looked for; null when all is equal. */
  readonly wrong: string | null;
  /** Proven snapshots of an older version that lack columns of this one, so that it folded from before them. */
  readonly passedOver: readonly number[];
  /** Columns, as `hosts.hold`, that nothing was left to compare with: the base, of an older version, lacks them. */
  readonly notCompared: readonly string[];
}

export interface LogKeeping {
  /** The head; null before the first row. */
  checkpoint(): Promise<Checkpoint | null>;
  /** Stores a snapshot when none was taken for `rows` rows (0: when there is a newer row); its seq, or null. */
  snapshot(rows: number): Promise<number | null>;
  /** Is the lowest partition full, left behind by the head, and beyond the bounds? */
  isDue(bounds: Bounds): Promise<boolean>;
  /** Folds up to the newest snapshot and compares. */
  prove(): Promise<Proof>;
  /** The name of the table that was the lowest partition; null when it must stay, or somebody reads the log. */
  detach(): Promise<string | null>;
  /** Detached tables that are in no file, lowest first: whoever detached one may not have lived to write it. */
  unexported(): Promise<string[]>;
  /** Writes a detached table to a file of this folder; returns its path. */
  export(name: string, folder: string): Promise<string>;
  /** Removes snapshots that nothing needs any more. */
  sweep(): Promise<number>;
}

/** Copying the tables of 100,000 hosts takes seconds. */
const SNAPSHOT_MS = 120_000;
/** Rows of one stretch of folding: some 10 ms, since a leader may share this process. */
const SLICE_ROWS = 500;
/** A partition was wanted while somebody held the log: tried again at the next run. */
const LOCK_NOT_AVAILABLE = '55P03';

export function keepLog(database: DatabaseOptions, pool: Pool): LogKeeping {
  const run: Pool['run'] = (statements) => pool.run(statements);
  return {
    checkpoint: () => run(readCheckpoint),
    snapshot: async (rows) =>
      (await run((sql) => lacksSnapshot(sql, rows))) ? take(database) : null,
    isDue: (bounds) => run((sql) => isDue(sql, bounds)),
    prove: () => prove(pool),
    detach: () => detach(pool),
    unexported: () => run(listUnexported),
    export: (name, folder) => exportTable(pool, name, folder),
    sweep: () => run(sweepSnapshots),
  };
}

async function readCheckpoint(sql: Sql): Promise<Checkpoint | null> {
  const [row] = await sql<Checkpoint[]>`
    SELECT e.incarnation, l.seq, encode(l.hash, 'hex') AS hash
    FROM epoch e, (SELECT seq, hash FROM event_log ORDER BY seq DESC LIMIT 1) l`;
  return row ?? null;
}

async function lacksSnapshot(sql: Sql, rows: number): Promise<boolean> {
  const [row] = await sql<{ lacks: boolean }[]>`
    SELECT coalesce((SELECT seq FROM event_log ORDER BY seq DESC LIMIT 1), 0)
      >= coalesce((SELECT max(seq) FROM snapshot), 0) + ${rows} AS lacks`;
  return row?.lacks === true;
}

async function take(database: DatabaseOptions): Promise<number | null> {
  const options = { role: 'snapshot', settings: {}, deadlineMs: SNAPSHOT_MS };
  const session = await openSession(database, options);
  try {
    return await inTransaction(session, async (sql) => {
      await sql`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ`;
      return takeSnapshot(sql);
    });
  } finally {
    await session.end();
  }
}

/** The lowest partition, its newest row, and the size of all. */
async function isDue(sql: Sql, { keepMs, mostBytes }: Bounds): Promise<boolean> {
  const [row] = await sql<{ ageMs: number | null; bytes: number; left: boolean }[]>`
    WITH part AS (
      SELECT min(substr(c.relname, 12)::bigint) AS n, sum(pg_total_relation_size(c.oid))::float8 AS bytes
      FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
      WHERE i.inhparent = 'event_log'::regclass
    )
    SELECT bytes, (SELECT extract(epoch FROM clock_timestamp() - ts)::float8 * 1000 FROM event_log
        WHERE seq < (n + 1) * event_log_partition_rows() ORDER BY seq DESC LIMIT 1) AS "ageMs",
      EXISTS (SELECT FROM event_log WHERE seq >= (n + 1) * event_log_partition_rows()) AS left
    FROM part`;
  if (row?.ageMs === undefined || row.ageMs === null || !row.left) return false;
  return (keepMs !== null && row.ageMs > keepMs) || (mostBytes !== null && row.bytes > mostBytes);
}

async function prove(pool: Pool): Promise<Proof> {
  const newest = await pool.run(newestSnapshot);
  if (newest === null) return { wrong: null, passedOver: [], notCompared: [] };
  const { detached } = await pool.run(readLeft);
  const { seq, passedOver } = await pool.run((sql) =>
    provenSnapshot(sql, {
      ...{ atLeast: detached, atMost: newest },
      ...{ prefer: 'newest', needed: detached > 0 },
    }),
  );
  const base = seq === null ? null : await pool.run((sql) => loadSnapshot(sql, seq));
  const wrong = await proveFrom(pool, base, newest);
  return { wrong, passedOver, notCompared: base?.lacks ?? [] };
}

async function proveFrom(pool: Pool, base: Start | null, seq: number): Promise<string | null> {
  const target = await pool.run((sql) => loadSnapshot(sql, seq));
  const after = base?.rows.headSeq ?? 0;
  const pages = walkStored((read) => pool.run(read), { after, through: seq, pageRows: SLICE_ROWS });
  const walked = await replay(pages, {
    fold: true,
    from: base === null ? null : { seq: after, hash: base.hash },
    state: base === null ? emptyState() : restore(base.rows),
  });
  const bad = faultOf(walked, seq);
  if (bad !== null) return bad;
  const except = [...(base?.lacks ?? []), ...target.lacks];
  const [first] = compare(dump(walked.state), target.rows, { limit: 1, except });
  if (first !== undefined) return `${first.family} ${first.key} ${first.field ?? ''} differs`;
  const { beyond } = await pool.run((sql) => snapshotColumns(sql, seq));
  // Only who knows all of it can say that all of it is equal.
  if (beyond.length === 0)
    await pool.run((sql) => sql`UPDATE snapshot SET folds_equal = true WHERE seq = ${seq}`);
  return null;
}

function faultOf({ missing, brokenAt, stopped, seq }: Replayed, through: number): string | null {
  const bad = missing ?? brokenAt;
  if (bad !== null) return `the log is not whole at ${bad}`;
  if (stopped !== null) return `row ${stopped.seq} cannot be folded: ${stopped.why}`;
  return seq === through ? null : `the log ends at ${seq}, before the snapshot ${through}`;
}

async function detach(pool: Pool): Promise<string | null> {
  try {
    const [row] = await pool.run(
      (sql) => sql<{ name: string | null }[]>`SELECT event_log_detach_lowest() AS name`,
    );
    return row?.name ?? null;
  } catch (error) {
    if (sqlState(error) === LOCK_NOT_AVAILABLE) return null;
    throw error;
  }
}

async function listUnexported(sql: Sql): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    SELECT name FROM log_detached WHERE exported_to IS NULL AND to_regclass(name) IS NOT NULL
    ORDER BY first_seq`;
  return rows.map(({ name }) => name);
}

async function exportTable(pool: Pool, name: string, folder: string): Promise<string> {
  const file = path.join(folder, `${name.replace('event_log_detached_', 'event-log-')}.jsonl.gz`);
  const [kept] = await pool.run(
    (sql) =>
      sql<{ hash: Buffer }[]>`SELECT last_hash AS hash FROM log_detached WHERE name = ${name}`,
  );
  // There already: of a process that died before it could say so, or of another log, of which it may be the only copy.
  const there = await lastHashOf(file);
  if (there !== null && kept?.hash.equals(there) !== true)
    throw new Error(`${file} holds rows of another log: move it, or give each a folder of its own`);
  if (there === null)
    await writeArchive(
      file,
      walkDetached((read) => pool.run(read), name),
    );
  await pool.run((sql) => sql`UPDATE log_detached SET exported_to = ${file} WHERE name = ${name}`);
  return file;
}

/** What stays: the newest two, and the lowest proven one that the rest of the log goes on from. */
async function sweepSnapshots(sql: Sql): Promise<number> {
  const gone = await sql`
    DELETE FROM snapshot WHERE seq NOT IN (SELECT seq FROM snapshot ORDER BY seq DESC LIMIT 2)
      AND seq NOT IN (SELECT coalesce(max(seq), 0) FROM snapshot WHERE folds_equal)
      AND seq NOT IN (SELECT coalesce(min(seq), 0) FROM snapshot
        WHERE folds_equal AND seq + 1 >= (SELECT coalesce(min(l.seq), 1) FROM event_log l))`;
  return gone.count;
}
