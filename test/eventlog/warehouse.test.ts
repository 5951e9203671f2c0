/** The cookbook's recipe for a warehouse, run as it is written: two servers, one publishing, one subscribed. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import {
  startEmbeddedPostgres,
  type EmbeddedPostgres,
} from '../../src/cli/dev/embedded-postgres.ts';
import { migrate } from '../../src/db/migrate.ts';
import { packagedMigrations } from '../../src/db/migration-files.ts';
import { createPool, type Pool } from '../../src/db/pool.ts';
import { eventually } from '../support/eventually.ts';
import { seed } from './support/seed.ts';

const COOKBOOK = readFileSync(path.join(import.meta.dirname, '../../docs/sql-cookbook.md'), 'utf8');
const STORY = readFileSync(path.join(import.meta.dirname, 'cookbook/story.txt'), 'utf8');
const PARTITION = 1_000;

let primary: EmbeddedPostgres;
let warehouse: EmbeddedPostgres;
let log: Pool;
let copy: Pool;

async function start(name: string, settings: Record<string, string>): Promise<EmbeddedPostgres> {
  const dataDir = path.join(inject('scratchDir'), `${name}-postgres`);
  return startEmbeddedPostgres({ dataDir, settings, ephemeral: true, log: () => undefined });
}

function open({ url }: EmbeddedPostgres, schema: string): Pool {
  return createPool({ url, schema, name: 'test' }, { role: 'test', max: 2, statementMs: 20_000 });
}

beforeAll(async () => {
  [primary, warehouse] = await Promise.all([
    start('primary', { wal_level: 'logical' }),
    start('warehouse', {}),
  ]);
  const database = { url: primary.url, schema: 'muster', name: 'test' };
  const migrations = packagedMigrations().map((one) => ({
    ...one,
    // Small partitions. Not the microseconds of the chain.
    sql: one.sql.replaceAll(/(?<!FROM ts\) \* )1000000/g, String(PARTITION)),
  }));
  await migrate(database, { rolePrefix: 'muster', migrations });
  log = open(primary, 'muster');
  copy = open(warehouse, 'public');
  await seed((statements) => log.run(statements), STORY);
}, 120_000);
afterAll(async () => {
  await copy.run((sql) => sql.unsafe('DROP SUBSCRIPTION IF EXISTS muster_log')); // its slot holds the primary up
  await log.end();
  await copy.end();
  await Promise.all([primary.stop(), warehouse.stop()]);
}, 60_000);

function recipe(name: 'primary' | 'warehouse'): string[] {
  const text = new RegExp(`^\`\`\`sql ${name}\\n([^]*?)^\`\`\``, 'm').exec(COOKBOOK)?.[1] ?? '';
  return text.split(';').filter((statement) => statement.trim() !== '');
}

/** The recipe with the addresses of here. */
function here(statement: string): string {
  const { hostname, port, pathname } = new URL(primary.url);
  return statement.replace(
    'host=primary port=5432 dbname=muster',
    `host=${hostname} port=${port} dbname=${pathname.slice(1)}`,
  );
}

const SUMMARY = `SELECT count(*)::integer AS rows, min(seq) AS first, max(seq) AS last,
  md5(string_agg(concat_ws('|', seq, ts, kind, hostname, caused_by, payload::text, hash), '' ORDER BY seq)) AS all
  FROM muster.event_log`;

async function summary(pool: Pool): Promise<Record<string, unknown> | undefined> {
  const [row] = await pool.run((sql) => sql.unsafe<Record<string, unknown>[]>(SUMMARY));
  return row;
}

/** Rows above the head, as nobody decided them: the copy does not look. */
async function append(rows: number): Promise<void> {
  await log.run(
    (sql) => sql`INSERT INTO event_log (seq, ts, epoch, kind, payload, hash)
      SELECT h.seq + n, now(), 1, 'plan_action', '{"v":2, "action":"Tick"}', sha256(n::text::bytea)
      FROM (SELECT max(seq) AS seq FROM event_log) h, generate_series(1, ${rows}) n`,
  );
}

it('copies what is there, follows across partitions, and keeps what retention detaches', async () => {
  for (const statement of recipe('primary')) await log.run((sql) => sql.unsafe(statement));
  for (const statement of recipe('warehouse')) await copy.run((sql) => sql.unsafe(here(statement)));
  const before = await summary(log);
  expect(before?.['rows']).toBeGreaterThan(100);
  await eventually(() => summary(copy)).toEqual(before);

  await log.run((sql) => sql`SELECT event_log_make_partitions(${6 * PARTITION})`);
  await append(2 * PARTITION);
  const grown = await summary(log);
  await eventually(() => summary(copy)).toEqual(grown);

  const detached = await log.run(async (sql) => {
    await sql`INSERT INTO snapshot (seq, hash, ts, incarnation, format, folds_equal)
      SELECT seq, hash, ts, 'i', 1, true FROM event_log ORDER BY seq DESC LIMIT 1`;
    return sql<{ name: string }[]>`SELECT event_log_detach_lowest() AS name`;
  });
  expect(detached[0]?.name).toBe('event_log_detached_p000000');
  await append(3);
  await eventually(async () => (await summary(copy))?.['rows']).toBe(Number(grown?.['rows']) + 3);
  expect((await summary(log))?.['first']).toBe(PARTITION);
  expect((await summary(copy))?.['first']).toBe(1);
});
