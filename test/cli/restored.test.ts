import { expect, it } from 'vitest';
import { log } from '../../src/cli/log.ts';
import { replay } from '../../src/cli/replay.ts';
import { restored } from '../../src/cli/restored.ts';
import { createPool } from '../../src/db/pool.ts';
import { fence, takeEpoch } from '../../src/leader/election.ts';
import { createTestDatabase } from '../support/database.ts';
import { createRoleDatabase } from '../support/roles.ts';
import { run } from './support.ts';

const CANDIDATE = { holder: 'replica-1', address: '', version: 'test' };

it('renews the incarnation, and whoever led before writes no more', async () => {
  const { url, schema } = await createTestDatabase();
  const pool = createPool(
    { url, schema, name: 'test' },
    { role: 'test', max: 1, statementMs: 5_000 },
  );
  const flags = ['--database-url', url, '--schema', schema, '--json'];
  expect(await run(restored, ...flags)).toMatchObject({ code: 0, json: { ok: true, schema } });

  const since = '2026-05-16T01:27:01.000Z';
  const before = await pool.run((sql) => takeEpoch(sql, CANDIDATE, since));
  const outcome = await run(restored, ...flags);
  expect(outcome).toMatchObject({ code: 0, json: { ok: true, epoch: before.epoch + 1 } });
  await expect(pool.run((sql) => fence(sql, before.epoch))).rejects.toThrow();

  const after = await pool.run((sql) => takeEpoch(sql, CANDIDATE, since));
  expect(after.incarnation).not.toBe(before.incarnation);
  expect(outcome.json).toMatchObject({ incarnation: after.incarnation });
  await pool.end();
});

it('says what is wrong with a database that is not one of ours', async () => {
  const { url } = await createTestDatabase({ empty: true });
  const outcome = await run(restored, '--database-url', url, '--schema', 'fresh');
  expect(outcome.code).toBe(1);
  expect(outcome.stderr).toMatch(/^muster restored: .*muster migrate/);
});

it('tells the login of an API to be another, never to be given more', async () => {
  const database = await createRoleDatabase();
  const asked = await run(restored, '--database-url', database.as('api'));
  expect([asked.code, asked.stderr]).toEqual([
    1,
    expect.stringMatching(/ask as the leader's login or the owner's \(docs\/database-roles\.md\)/),
  ]);
  expect((await run(restored, '--database-url', database.as('leader'))).code).toBe(0);
  for (const [command, ...words] of [
    [log, 'verify'],
    [replay, '--verify'],
    [replay, '--redecide'],
  ] as const) {
    const denied = await run(command, ...words, '--database-url', database.as('api'));
    expect([denied.code, denied.stderr]).toEqual([
      2,
      expect.stringMatching(/ask as a reader's login, the leader's or the owner's \(docs/),
    ]);
    const read = await run(command, ...words, '--database-url', database.as('readonly'));
    expect([words, read.code, read.stderr]).toEqual([words, 0, '']);
  }
  const rebuilt = await run(replay, '--rebuild', '--database-url', database.as('readonly'));
  expect(rebuilt.stderr).toMatch(/ask as the leader's login or the owner's/);
  await database.drop();
});
