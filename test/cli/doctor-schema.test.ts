/** `muster doctor` asked of a database whose schema or functions somebody changed, or locks. */
import postgres from 'postgres';
import { afterEach, expect, it } from 'vitest';
import { doctor } from '../../src/cli/doctor.ts';
import { createTestDatabase } from '../support/database.ts';
import { createRoleDatabase } from '../support/roles.ts';
import { run } from './support.ts';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

const examine = (url: string) => run(doctor, '--database-url', url, '--schema', 'muster');

/** A database to which somebody did this. */
async function examineAfter(statement: string): ReturnType<typeof examine> {
  const { url } = await createTestDatabase();
  const dba = postgres(url, { max: 1 });
  undo.push(() => dba.end());
  await dba.unsafe(statement);
  return examine(url);
}

it.each([
  ['input_queue_s3', 'ALTER TABLE muster.input_queue DETACH PARTITION muster.input_queue_s3'],
  ['event_log_pkey', 'ALTER TABLE muster.event_log DROP CONSTRAINT event_log_pkey'],
  ['input_queue_s2_pkey', 'ALTER TABLE muster.input_queue_s2 DROP CONSTRAINT input_queue_s2_pkey'],
  ['input_queue_host', 'DROP INDEX muster.input_queue_host'],
  ['fence(bigint)', 'DROP FUNCTION muster.fence(bigint)'],
  [
    'the body of fence(bigint)',
    "CREATE OR REPLACE FUNCTION muster.fence(mine bigint) RETURNS void LANGUAGE plpgsql AS 'BEGIN END'",
  ],
  [
    'SECURITY DEFINER of input_queue_rotate()',
    'ALTER FUNCTION muster.input_queue_rotate() SECURITY INVOKER',
  ],
  [
    'the default of input_queue.enqueued_at',
    'ALTER TABLE muster.input_queue ALTER enqueued_at DROP DEFAULT',
  ],
])('a schema that has lost %s', async (name, statement) => {
  const { code, stdout } = await examineAfter(statement);
  expect([code, stdout]).toEqual([
    1,
    expect.stringContaining(`schema has lost ${name}: put it back`),
  ]);
});

it.each([
  [
    'zz on input_queue_s0',
    'CREATE TRIGGER zz BEFORE INSERT ON muster.input_queue_s0 FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()',
  ],
  ['r on epoch', 'CREATE RULE r AS ON UPDATE TO muster.epoch DO INSTEAD NOTHING'],
])('what is no part of it: %s', async (name, statement) => {
  const { stdout } = await examineAfter(statement);
  expect(stdout).toMatch(new RegExp(`warning: triggers: .* ${name}: drop`));
});

it.each([
  ['a lock in its way', 'LOCK TABLE muster.schema_migration'],
  // Nobody waits for it now, and whoever reads is soon to: it counts by its age.
  [
    'a lock that readers run into, give up and run into again',
    'LOCK TABLE muster.verdict; SELECT pg_sleep(1.1)',
  ],
])('%s', async (_, statements) => {
  const { url } = await createTestDatabase();
  const dba = postgres(url, { max: 1 });
  undo.push(() => dba.end());
  await dba.begin(async (sql) => {
    await sql.unsafe(statements);
    const { code, stdout } = await examine(url);
    expect([code, stdout]).toEqual([
      1,
      expect.stringMatching(/wrong: blocked: .*session \d+ \(.*pg_terminate_backend/),
    ]);
  });
});

it.each([
  ['pg_try_advisory_lock(integer,integer)', /may not call pg_try_advisory_lock.*GRANT EXECUTE/],
  // The doctor itself needs it.
  ['pg_notify(text,text)', /may not call pg_notify.*GRANT EXECUTE/],
])('a login that may not call %s', async (name, says) => {
  const database = await createRoleDatabase();
  const dba = postgres(database.url, { max: 1 });
  undo.push(() => dba.end());
  await dba.unsafe(`REVOKE EXECUTE ON FUNCTION ${name} FROM PUBLIC`);
  const { code, stdout } = await examine(database.as('leader'));
  expect([code, stdout]).toEqual([1, expect.stringMatching(says)]);
});

it('nor set_config, without which there is no session', async () => {
  const database = await createRoleDatabase();
  const dba = postgres(database.url, { max: 1 });
  undo.push(() => dba.end());
  await dba`REVOKE EXECUTE ON FUNCTION set_config(text, text, boolean) FROM PUBLIC`;
  const { code, stderr } = await examine(database.as('leader'));
  expect([code, stderr]).toEqual([
    2,
    expect.stringMatching(/permission denied for function set_config: grant it to the login/),
  ]);
});
