/** Muster's own triggers: the doctor knows them all, and misses one that keeps nothing any more; migrate puts it back. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import postgres from 'postgres';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { doctor } from '../../src/cli/doctor.ts';
import { migrate } from '../../src/cli/migrate.ts';
import { dumpSchema } from '../../src/db/catalog.ts';
import { OWN_TRIGGERS } from '../../src/db/own-triggers.ts';
import { BODY, DEFAULTS, FUNCTIONS, INDEXES, OWN_CONSTRAINTS } from '../../src/db/shape.ts';
import { createPool } from '../../src/db/pool.ts';
import { createTestDatabase } from '../support/database.ts';
import { run, type Outcome } from './support.ts';

let url: string;
let sql: postgres.Sql;
beforeEach(async () => {
  ({ url } = await createTestDatabase());
  const connection = { search_path: 'muster' };
  sql = postgres(url, { max: 1, connection, onnotice: () => undefined });
});
afterEach(() => sql.end());

const ask = (command: typeof doctor, ...args: string[]): Promise<Outcome> =>
  run(command, '--database-url', url, '--schema', 'muster', ...args);

interface Findings {
  readonly findings: readonly { readonly check: string; readonly text: string }[];
}

const checks = async (): Promise<string[]> =>
  ((await ask(doctor, '--json')).json as Findings).findings.map(({ check }) => check);

it('are those that the migrations make, no more and no fewer', async () => {
  const rows = await sql<{ name: string }[]>`
    SELECT DISTINCT tgname AS name FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid
    WHERE relnamespace = 'muster'::regnamespace AND NOT tgisinternal ORDER BY 1`;
  expect([...OWN_TRIGGERS].sort()).toEqual(rows.map(({ name }) => name));
});

it('leave constraints, too, that are just those of the migrations', async () => {
  const rows = await sql<{ name: string }[]>`
    SELECT DISTINCT conname AS name FROM pg_constraint JOIN pg_class c ON c.oid = conrelid
    WHERE relnamespace = 'muster'::regnamespace AND contype IN ('c', 'f', 'u', 'x') ORDER BY 1`;
  expect([...OWN_CONSTRAINTS].sort()).toEqual(rows.map(({ name }) => name));
});

it('and functions and defaults', async () => {
  const functions = await sql<{ name: string; asOwner: boolean; body: string }[]>`
    SELECT replace(oid::regprocedure::text, 'muster.', '') AS name, prosecdef AS "asOwner", ${sql.unsafe(BODY)} AS body
    FROM pg_proc WHERE pronamespace = 'muster'::regnamespace`;
  expect(FUNCTIONS).toEqual(
    Object.fromEntries(functions.map(({ name, asOwner, body }) => [name, { asOwner, body }])),
  );
  const defaults = await sql<{ name: string }[]>`
    SELECT relname || '.' || attname AS name FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
    WHERE relnamespace = 'muster'::regnamespace AND NOT relispartition AND relkind IN ('r', 'p') AND atthasdef ORDER BY 1`;
  expect([...DEFAULTS].sort()).toEqual(defaults.map(({ name }) => name));
});

it('and keys, of which the doctor misses each that is gone', async () => {
  const rows = await sql<{ name: string }[]>`
    SELECT conname AS name FROM pg_constraint JOIN pg_class c ON c.oid = conrelid
    WHERE relnamespace = 'muster'::regnamespace AND contype = 'p' AND relname !~ '_p[0-9]{6}$' ORDER BY 1`;
  expect(INDEXES.filter((name) => name.endsWith('_pkey')).sort()).toEqual(
    rows.map(({ name }) => name),
  );
  await sql`ALTER TABLE leader_progress DROP CONSTRAINT leader_progress_pkey`;
  const { findings } = (await ask(doctor, '--json')).json as Findings;
  expect(findings.find(({ text }) => /leader_progress_pkey/.test(text))).toBeDefined();
});

it('are none of the doctor’s business in a schema that was just made', async () => {
  const found = await checks();
  // Of the server that the tests run on, not of the schema.
  expect(found.filter((check) => check !== 'standby-sync' && check !== 'connections')).toEqual([]);
  await sql`CREATE RULE swallows AS ON INSERT TO presence DO INSTEAD NOTHING`;
  expect(await checks()).toContain('triggers');
  await sql`DROP RULE swallows ON presence`;
  await sql`ALTER TABLE event_log ADD CONSTRAINT refuses CHECK (hostname <> 'web-1') NOT VALID`;
  const { findings } = (await ask(doctor, '--json')).json as Findings;
  expect(findings.find(({ check }) => check === 'triggers')?.text).toMatch(
    /: refuses on event_log:/,
  );
  await sql`ALTER TABLE event_log DROP CONSTRAINT refuses`;
  await sql`ALTER TABLE host ADD COLUMN harmless int, ADD COLUMN theirs int NOT NULL`;
  const again = (await ask(doctor, '--json')).json as Findings;
  expect(again.findings.find(({ check }) => check === 'triggers')?.text).toMatch(
    /: theirs NOT NULL on host:/,
  );
});

const fleet = (...names: string[]): string =>
  JSON.stringify({ hosts: names.map((name) => [name, 'stable', null]) });

/** As it is stored when a fleet comes into force. */
async function declare(...names: string[]): Promise<void> {
  await sql`UPDATE artifact SET current = false WHERE kind = 'fleet'`;
  await sql`
    INSERT INTO artifact (kind, name, hash, bytes, signature, content, signed_at, verified_at, current)
    VALUES ('fleet', '', ${names.join('-')}, '', '', ${fleet(...names)}::text::json, now(), now(), true)`;
}

async function declared(): Promise<string[]> {
  const rows = await sql<{ hostname: string }[]>`SELECT hostname FROM declared_host ORDER BY 1`;
  return rows.map(({ hostname }) => hostname);
}

const DUMP = path.resolve('test/schema.sql');
/** What is said of a function went with it. */
const uncommented = (dump: string): string[] =>
  dump.split('\n').filter((line) => line !== '' && !line.startsWith('-- '));

const PROBLEM =
  /trigger artifact_declares_hosts on artifact is \w+, and which hosts the fleet declares is not kept any more: run "muster migrate"/;

it.each([
  ['is missing', 'DROP TRIGGER artifact_declares_hosts ON artifact'],
  ['is off', 'ALTER TABLE artifact DISABLE TRIGGER artifact_declares_hosts'],
  ['is a replica’s', 'ALTER TABLE artifact ENABLE REPLICA TRIGGER artifact_declares_hosts'],
  ['went with what it calls', 'DROP FUNCTION declare_hosts() CASCADE'],
  [
    'calls what does nothing',
    "CREATE OR REPLACE FUNCTION declare_hosts() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = muster, pg_temp AS 'BEGIN RETURN NULL; END'",
  ],
  [
    'looks at fewer changes',
    `CREATE OR REPLACE TRIGGER artifact_declares_hosts AFTER INSERT ON artifact
       FOR EACH ROW WHEN (NEW.kind = 'none') EXECUTE FUNCTION declare_hosts()`,
  ],
])('that %s is missed, and put back with what it keeps', async (_, statement) => {
  await declare('old');
  await sql.unsafe(statement);
  await declare('new-1', 'new-2');
  const looked = [await ask(doctor), await ask(migrate, '--check')];
  for (const { code, stdout } of looked)
    expect([code, stdout]).toEqual([1, expect.stringMatching(PROBLEM)]);
  const checked = await ask(migrate, '--check', '--json');
  expect(checked.json).toMatchObject({ ok: false, triggers: ['artifact_declares_hosts'] });

  const mended = await ask(migrate);
  expect([mended.code, mended.stdout]).toEqual([
    0,
    expect.stringMatching(/: put back artifact_declares_hosts$/m),
  ]);
  expect(await declared()).toEqual(['new-1', 'new-2']);
  expect(await checks()).not.toContain('triggers');
  expect((await ask(migrate, '--check')).code).toBe(0);
  expect((await ask(migrate)).stdout).toContain('nothing to do');
  const pool = createPool(
    { url, schema: 'muster', name: 'test' },
    { role: 'test', max: 1, statementMs: 10_000 },
  );
  const dump = await pool.run((own) => dumpSchema(own, 'muster')).finally(() => pool.end());
  expect(uncommented(dump)).toEqual(uncommented(readFileSync(DUMP, 'utf8')));
});

it('is put back by the printed plan, too', async () => {
  await declare('old');
  await sql`DROP TRIGGER artifact_declares_hosts ON artifact`;
  await declare('new');
  const { code, stdout } = await ask(migrate, '--plan');
  expect([code, stdout]).toEqual([
    0,
    expect.stringContaining('-- put back: artifact_declares_hosts'),
  ]);
  await sql.unsafe(stdout.replaceAll(/^\\set .*$/gm, ''));
  await sql`SET search_path = muster`;
  expect(await declared()).toEqual(['new']);
  expect((await ask(migrate, '--check')).code).toBe(0);
});

it('is left to the newer version that may do without it, and so is what that one brings', async () => {
  await sql`INSERT INTO schema_migration (version, name, checksum) VALUES (9999, '9999_later.sql', '')`;
  await sql`ALTER TRIGGER artifact_declares_hosts ON artifact RENAME TO later`;
  expect(await checks()).not.toContain('triggers');
  expect((await ask(migrate, '--check')).code).toBe(0);
  expect((await ask(migrate, '--json')).json).toMatchObject({ ok: true, putBack: [] });
});
