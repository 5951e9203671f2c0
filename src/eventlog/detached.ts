/** What retention has taken out of the log, and how much of it the database still holds. */
import type { Sql } from '../db/driver.ts';
import type { Link } from './chain-check.ts';

export interface Left {
  /** The row before the first that is left: the last one that no table holds any more. Null: the first is seq 1. */
  readonly base: Link | null;
  /** Detached tables from there on, in order; the log itself goes on after them. */
  readonly tables: readonly string[];
  /** The last row that was detached; 0: none was. */
  readonly detached: number;
}

export async function readLeft(sql: Sql): Promise<Left> {
  const rows = await sql<{ name: string; seq: number; hash: Buffer; there: boolean }[]>`
    SELECT name, last_seq AS seq, last_hash AS hash, to_regclass(name) IS NOT NULL AS there
    FROM log_detached ORDER BY last_seq`;
  const gone = rows.findLast(({ there }) => !there) ?? null;
  return {
    base: gone === null ? null : { seq: gone.seq, hash: gone.hash },
    tables: rows.filter(({ seq }) => seq > (gone?.seq ?? 0)).map(({ name }) => name),
    detached: rows.at(-1)?.seq ?? 0,
  };
}
