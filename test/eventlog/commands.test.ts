/** `muster log` and `muster replay` over a scenario's log. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { log } from '../../src/cli/log.ts';
import { replay } from '../../src/cli/replay.ts';
import type { DatabaseOptions } from '../../src/db/driver.ts';
import { createPool, type Pool } from '../../src/db/pool.ts';
import { openSession } from '../../src/db/session.ts';
import { inTransaction } from '../../src/db/transaction.ts';
import { writeArchive } from '../../src/eventlog/archive.ts';
import { takeSnapshot } from '../../src/eventlog/snapshot.ts';
import { walkStored } from '../../src/eventlog/stored.ts';
import { createTestDatabase } from '../support/database.ts';
import { startReplica } from '../support/installation.ts';
import { seed } from './support/seed.ts';

const scenario = (name: string): string =>
  readFileSync(path.join(import.meta.dirname, '../reducer/scenarios', name), 'utf8');

let url: string;
let pool: Pool;
let headSeq: number;
const pools: Pool[] = [];

beforeEach(async () => {
  ({ url } = await createTestDatabase());
  const database = { url, schema: 'muster', name: 'test' };
  pool = createPool(database, { role: 'test', max: 2, statementMs: 10_000 });
  pools.push(pool);
  const { state } = await seed((statements) => pool.run(statements), scenario('03-waves.txt'));
  headSeq = state.headSeq;
});
afterAll(() => Promise.all(pools.map((one) => one.end())));

type Command = typeof replay;

async function call(command: Command, ...args: string[]) {
  let out = '';
  let err = '';
  const io = {
    stdout: { write: (text: string) => (out += text) },
    stderr: { write: (text: string) => (err += text) },
  };
  const code = await command([...args, '--database-url', url], io);
  return { code, out, err, json: (): unknown => JSON.parse(out) };
}

const tamper = (text: string) =>
  pool.run((sql) => sql.unsafe(`ALTER TABLE event_log DISABLE TRIGGER ALL; ${text}`));

describe('muster log verify', () => {
  it('finds a whole chain, and its checkpoints in it', async () => {
    const found = await call(log, 'verify', '--json');
    expect(found.code).toBe(0);
    const { head, hash } = found.json() as { head: number; hash: string };
    expect(head).toBe(headSeq);
    const kept = await call(log, 'verify', '--checkpoint', `i1:${String(head)}:${hash}`);
    expect([kept.code, kept.out]).toEqual([0, expect.stringContaining('are a whole chain')]);
    const other = await call(log, 'verify', '--checkpoint', `i1:7:${hash}`, '--json');
    expect([other.code, other.json()]).toEqual([
      1,
      expect.objectContaining({ ok: false, checkpoints: [expect.objectContaining({ seq: 7 })] }),
    ]);
  });

  it('finds a changed row and a missing one', async () => {
    await tamper(`UPDATE event_log SET actor = 'eve' WHERE seq = 9`);
    expect((await call(log, 'verify', '--json')).json()).toMatchObject({ ok: false, brokenAt: 9 });
    await tamper('DELETE FROM event_log WHERE seq = 5');
    const { code, out } = await call(log, 'verify');
    expect([code, out]).toEqual([1, expect.stringContaining('row 5 is missing')]);
  });

  it('says how it is used', async () => {
    expect((await call(log, 'burn')).code).toBe(2);
    expect((await call(log, 'verify', '--checkpoint', 'x')).err).toContain('incarnation:seq:hash');
  });
});

describe('muster replay', () => {
  it('verifies the tables, and names the first field that differs', async () => {
    const sound = await call(replay, '--verify', '--json');
    expect([sound.code, sound.json()]).toEqual([
      0,
      expect.objectContaining({ ok: true, rows: headSeq, differences: [] }),
    ]);
    await pool.run((sql) => sql`UPDATE host SET reported_closure = 'x' WHERE hostname = 'web1'`);
    const found = await call(replay, '--verify');
    expect(found.code).toBe(1);
    expect(found.out).toMatch(/^hosts web1 reportedClosure: the log says "\w+", the table "x"\n$/);
    await pool.run((sql) => sql`DELETE FROM rollout`);
    expect((await call(replay, '--verify', '--json')).json()).toMatchObject({
      differences: expect.arrayContaining([
        expect.objectContaining({ family: 'rollouts', field: null, stored: null }) as object,
      ]) as object,
    });
  });

  it('rebuilds the tables, unless somebody leads', async () => {
    await pool.run((sql) => sql`UPDATE host_rollout SET state = 'Failed', wave = 9`);
    await pool.run((sql) => sql`DELETE FROM fleet`);
    const leading = startReplica(url, 'a');
    await leading.lead();
    const refused = await call(replay, '--rebuild');
    expect([refused.code, refused.err]).toEqual([2, expect.stringContaining('a process leads')]);
    await leading.stop();
    expect((await call(replay, '--rebuild')).code).toBe(0);
    expect((await call(replay, '--verify')).code).toBe(0);
  });

  it('shows the fleet as it was, by seq and by time', async () => {
    const early = await call(replay, '--at', '6');
    expect(early.out).toContain('after row 6, 2026-05-16T00:00:0');
    expect(early.out).toContain('reachable');
    const whole = (await call(replay, '--at', String(headSeq), '--json')).json();
    expect(whole).toMatchObject({
      headSeq,
      rollouts: [expect.objectContaining({ state: 'Terminal' })],
    });
    const then = await call(replay, '--at', '2026-05-16T00:00:02Z', '--json');
    expect((then.json() as { headSeq: number }).headSeq).toBeLessThan(headSeq);
    expect((await call(replay, '--at', 'yesterday')).code).toBe(2);
  });

  it('decides again', async () => {
    const again = await call(replay, '--redecide', '--json');
    expect([again.code, again.json()]).toEqual([
      0,
      expect.objectContaining({ ok: true, differing: 0, skippedCount: 0 }),
    ]);
  });

  it('begins at a snapshot, and takes detached rows from an archive', async () => {
    const database: DatabaseOptions = { url, schema: 'muster', name: 'test' };
    const file = path.join(inject('scratchDir'), `${String(process.pid)}-p0.jsonl.gz`);
    const run: Pool['run'] = (statements) => pool.run(statements);
    await writeArchive(file, walkStored(run, { after: 0, through: 10 }));
    const session = await openSession(database, { role: 't', settings: {}, deadlineMs: 5_000 });
    await inTransaction(session, async (sql) => {
      await sql`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ`;
      expect(await takeSnapshot(sql)).toBe(headSeq);
      expect(await takeSnapshot(sql)).toBeNull();
    });
    await session.end();
    const fast = await call(replay, '--verify', '--from-snapshot', '--json');
    expect(fast.json()).toMatchObject({ ok: true, rows: 0 });
    await tamper('DELETE FROM event_log WHERE seq <= 10');
    expect((await call(replay, '--verify', '--json')).json()).toMatchObject({ ok: true, rows: 0 });
    expect((await call(replay, '--at', '12')).err).toContain('were detached');
    const whole = await call(replay, '--verify', '--archive', file, '--json');
    expect(whole.json()).toMatchObject({ ok: true, rows: headSeq });
    expect((await call(log, 'verify', '--archive', file)).code).toBe(0);
  });

  it('says how it is used', async () => {
    expect((await call(replay)).code).toBe(2);
    expect((await call(replay, '--verify', '--rebuild')).code).toBe(2);
    expect((await call(replay, '--verify', '--limit', '0')).code).toBe(2);
  });
});
