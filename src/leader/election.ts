/** Winning an epoch: the row that fences every write of whoever led before. */
import { randomUUID } from 'node:crypto';
import type { Sql } from '../db/driver.ts';
import { timeline } from '../db/timeline.ts';

export interface Candidate {
  /** Name of the process. */
  readonly holder: string;
  /** URL under which others reach it. */
  readonly address: string;
  readonly version: string;
}

export interface Term {
  readonly epoch: number;
  /** Changes when the database was restored or promoted. */
  readonly incarnation: string;
}

export interface TakenTerm extends Term {
  /** The incarnation in which the last commit was made; null: none was made. */
  readonly before: string | null;
}

/**
 * Takes the next epoch. Waits for any transaction of the previous leader that still holds the row; whatever
 * that leader does afterwards fails at its fence. A database that is not the one that the incarnation was
 * made under (another cluster, timeline or database, or tables that a dump made anew) gets a new incarnation.
 */
export async function takeEpoch(sql: Sql, candidate: Candidate, since: string): Promise<TakenTerm> {
  const { holder, address, version } = candidate;
  const [row] = await sql<TakenTerm[]>`
    WITH before AS (
      SELECT coalesce(p.led_in, e.incarnation) AS incarnation FROM epoch e, leader_progress p)
    INSERT INTO epoch AS e (epoch, holder, address, version, since, incarnation,
      system_identifier, timeline, database_oid, log_oid)
    SELECT 1, ${holder}, ${address}, ${version}, ${since}, ${randomUUID()},
      (SELECT system_identifier::text FROM pg_control_system()),
      ${timeline(sql)},
      (SELECT oid::bigint FROM pg_database WHERE datname = current_database()),
      'event_log'::regclass::oid::bigint
    ON CONFLICT (singleton) DO UPDATE SET
      epoch = e.epoch + 1, holder = excluded.holder, address = excluded.address,
      version = excluded.version, since = excluded.since,
      incarnation = CASE
        WHEN (e.system_identifier, e.timeline, e.database_oid, coalesce(e.log_oid, excluded.log_oid))
           = (excluded.system_identifier, excluded.timeline, excluded.database_oid, excluded.log_oid)
        THEN e.incarnation ELSE excluded.incarnation END,
      system_identifier = excluded.system_identifier, timeline = excluded.timeline,
      database_oid = excluded.database_oid, log_oid = excluded.log_oid
    RETURNING epoch, incarnation, (SELECT incarnation FROM before) AS before`;
  if (row === undefined) throw new Error('the epoch row could not be written');
  return row;
}

/**
 * A new incarnation for a database that went back in time without a trace that PostgreSQL could show: a disk
 * snapshot keeps cluster and timeline. It takes an epoch as a leader does, so that whoever leads steps down and
 * the next one loads what is there now. Null: nobody ever led here, so there is nothing to tell apart.
 */
export async function renewIncarnation(
  sql: Sql,
  { holder, address, version }: Candidate,
): Promise<Term | null> {
  const [row] = await sql<Term[]>`
    WITH led AS (
      UPDATE leader_progress SET led_in = (SELECT incarnation FROM epoch) WHERE led_in IS NULL)
    UPDATE epoch SET epoch = epoch + 1, incarnation = ${randomUUID()}, holder = ${holder},
      address = ${address}, version = ${version}, since = clock_timestamp()
    RETURNING epoch, incarnation`;
  return row ?? null;
}

/** First in every writer transaction: fails with MU001 unless `epoch` leads, and keeps it so until the end. */
export function fence(sql: Sql, epoch: number): Promise<unknown> {
  return sql`SELECT fence(${epoch})`.execute();
}
