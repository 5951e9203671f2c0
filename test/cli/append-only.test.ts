/** A log whose triggers somebody switched off: each command that looks says so, with what puts them back. */
import postgres from 'postgres';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { doctor } from '../../src/cli/doctor.ts';
import { log } from '../../src/cli/log.ts';
import { migrate } from '../../src/cli/migrate.ts';
import { createTestDatabase } from '../support/database.ts';
import { run, type Outcome } from './support.ts';

let url: string;
let sql: postgres.Sql;
beforeEach(async () => {
  ({ url } = await createTestDatabase());
  sql = postgres(url, { max: 1, onnotice: () => undefined });
});
afterEach(() => sql.end());

const LOOKS: readonly (readonly [string, () => Promise<Outcome>])[] = [
  ['doctor', () => run(doctor, '--database-url', url)],
  ['migrate --check', () => run(migrate, '--database-url', url, '--check')],
  ['log verify', () => run(log, 'verify', '--database-url', url)],
];

async function outcomes(): Promise<[string, Outcome][]> {
  const found: [string, Outcome][] = [];
  for (const [name, look] of LOOKS) found.push([name, await look()]);
  return found;
}

const PROBLEM = /the event log can be changed: .* mend it as the owner \((.*)\), then run/;

it.each([
  ['all are off', 'ALTER TABLE muster.event_log DISABLE TRIGGER ALL'],
  [
    'a partition may be truncated',
    'ALTER TABLE muster.event_log_p000000 DISABLE TRIGGER event_log_no_truncate',
  ],
  [
    'a partition may be changed',
    'ALTER TABLE muster.event_log_p000000 DISABLE TRIGGER event_log_no_change',
  ],
  ['a session may skip one', 'ALTER TABLE muster.event_log ENABLE TRIGGER event_log_no_change'],
  [
    'replicas only keep it',
    'ALTER TABLE ONLY muster.event_log ENABLE REPLICA TRIGGER event_log_no_truncate',
  ],
  ['one is gone', 'DROP TRIGGER event_log_no_change ON muster.event_log'],
  [
    'one is gone from a partition',
    'DROP TRIGGER event_log_no_truncate ON muster.event_log_p000000',
  ],
  [
    'what they call refuses nothing',
    "CREATE OR REPLACE FUNCTION muster.event_log_append_only() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
  ],
  [
    'one calls something else',
    `CREATE FUNCTION muster.lets() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END';
     CREATE OR REPLACE TRIGGER event_log_no_change BEFORE UPDATE OR DELETE ON muster.event_log
       FOR EACH ROW EXECUTE FUNCTION muster.lets();
     ALTER TABLE muster.event_log ENABLE ALWAYS TRIGGER event_log_no_change`,
  ],
  [
    'one has a condition',
    `CREATE OR REPLACE TRIGGER event_log_no_truncate BEFORE TRUNCATE ON muster.event_log_p000000
       FOR EACH STATEMENT WHEN (false) EXECUTE FUNCTION muster.event_log_append_only();
     ALTER TABLE muster.event_log_p000000 ENABLE ALWAYS TRIGGER event_log_no_truncate`,
  ],
  [
    'one looks at fewer changes',
    `DROP TRIGGER event_log_no_change ON muster.event_log;
     CREATE TRIGGER event_log_no_change BEFORE UPDATE OF hash ON muster.event_log
       FOR EACH ROW EXECUTE FUNCTION muster.event_log_append_only();
     ALTER TABLE muster.event_log ENABLE ALWAYS TRIGGER event_log_no_change`,
  ],
])('%s', async (_, statement) => {
  for (const [name, { code, stdout }] of await outcomes())
    expect([name, code, stdout]).toEqual([name, 0, expect.not.stringMatching(PROBLEM)]);
  await sql.unsafe(statement);
  const found = await outcomes();
  for (const [name, { code, stdout }] of found)
    expect([name, code, stdout]).toEqual([name, 1, expect.stringMatching(PROBLEM)]);
  const plan = await run(migrate, '--database-url', url, '--plan');
  expect([plan.code, plan.stdout]).toEqual([0, expect.stringMatching(PROBLEM)]);
  const [, statements = ''] = PROBLEM.exec(found[0]?.[1].stdout ?? '') ?? [];
  await sql.unsafe(statements);
  for (const [name, { code, stdout }] of await outcomes())
    expect([name, code, stdout]).toEqual([name, 0, expect.not.stringMatching(PROBLEM)]);
});

it('of what was detached, too, and for machines', async () => {
  await sql.unsafe('ALTER TABLE muster.event_log DETACH PARTITION muster.event_log_p000000');
  await sql.unsafe('ALTER TABLE muster.event_log_p000000 RENAME TO event_log_detached_p000000');
  const outcome = await run(log, 'verify', '--database-url', url, '--json');
  expect(outcome).toMatchObject({
    code: 1,
    json: {
      ok: false,
      changeable: expect.stringContaining('event_log_detached_p000000') as string,
    },
  });
  const checked = await run(migrate, '--database-url', url, '--check', '--json');
  expect(checked).toMatchObject({ code: 1, json: { ok: false, pending: [], appendOnly: false } });
});
