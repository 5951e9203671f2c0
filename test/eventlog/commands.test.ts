/** `muster log` and `muster replay` over a scenario's log. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { log } from '../../src/cli/log.ts';
import { replay } from '../../src/cli/replay.ts';
import type { Pool } from '../../src/db/pool.ts';
import { writeArchive } from '../../src/eventlog/archive.ts';
import { keepLog } from '../../src/eventlog/keep.ts';
import { walkStored } from '../../src/eventlog/stored.ts';
import { startReplica } from '../support/installation.ts';
import { callOn, openScenario, tamperWith } from './support/scenario-log.ts';

let url: string;
let pool: Pool;
let headSeq: number;
const pools: Pool[] = [];

beforeEach(async () => {
  ({ url, pool, headSeq } = await openScenario('03-waves.txt'));
  pools.push(pool);
});
afterAll(() => Promise.all(pools.map((one) => one.end())));

const call = (command: typeof replay, ...args: string[]) => callOn(url, command, ...args);
const tamper = (text: string) => tamperWith(pool, text);

/** What retention leaves, when the owner has dropped the detached table. */
const detachAndDrop = (last: number) =>
  tamper(`INSERT INTO log_detached SELECT 'p', 1, seq, ts, ts, sha256('a'), hash FROM event_log
      WHERE seq = ${String(last)};
    DELETE FROM event_log WHERE seq <= ${String(last)}`);

function archiveFile(name: string): string {
  return path.join(inject('scratchDir'), `${String(process.pid)}-${name}.jsonl.gz`);
}

/** Takes one, if there is a row since the last. */
function snapshot(): Promise<number | null> {
  return keepLog({ url, schema: 'muster', name: 'test' }, pool).snapshot(0);
}

/** What only the owner of the database could do: another actor, and every hash after it made anew. */
async function rewriteFrom(seq: number): Promise<void> {
  await tamper(`UPDATE event_log SET actor = 'eve' WHERE seq = ${String(seq)};
    DO $$ DECLARE r record; BEGIN
      FOR r IN SELECT * FROM event_log WHERE seq >= ${String(seq)} ORDER BY seq LOOP
        UPDATE event_log SET hash = muster_v1.row_hash(
          (SELECT hash FROM event_log WHERE seq = r.seq - 1), r.seq, r.ts, r.epoch, r.kind, r.hostname,
          r.rollout_id, r.channel, r.actor, r.caused_by, r.payload::text) WHERE seq = r.seq;
      END LOOP;
    END $$`);
}

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

  it('tells a log that was rewritten, one that lost its end, and one that it cannot see', async () => {
    const { hash } = (await call(log, 'verify', '--json')).json() as { hash: string };
    const file = archiveFile('tail');
    const run: Pool['run'] = (statements) => pool.run(statements);
    await writeArchive(file, walkStored(run, { after: 0, through: Infinity }));
    const kept = ['--checkpoint', `i1:${String(headSeq)}:${hash}`];
    await rewriteFrom(5);
    expect((await call(log, 'verify')).code).toBe(0);
    const rewritten = await call(log, 'verify', ...kept);
    expect([rewritten.code, rewritten.out]).toEqual([
      1,
      expect.stringContaining(`row ${String(headSeq)} is not what the checkpoint says`),
    ]);
    await tamper(`DELETE FROM event_log WHERE seq > 4`);
    const short = await call(log, 'verify', ...kept);
    expect([short.code, short.out]).toEqual([
      1,
      expect.stringContaining('ends at row 4, before the'),
    ]);
    const beyond = await call(log, 'verify', '--archive', file);
    expect([beyond.code, beyond.out]).toEqual([
      1,
      expect.stringContaining('ends at row 4, before the archives do'),
    ]);
    await detachAndDrop(2);
    const gone = await call(log, 'verify', '--checkpoint', `i1:1:${hash}`);
    expect([gone.code, gone.out]).toEqual([2, expect.stringContaining('row 1 was detached')]);
  });

  it('says of a damaged archive which file and line, and goes no further', async () => {
    const file = archiveFile('whole');
    const run: Pool['run'] = (statements) => pool.run(statements);
    await writeArchive(file, walkStored(run, { after: 0, through: 10 }));
    const whole = readFileSync(file);
    const text = gunzipSync(whole).toString();
    const cases: [string, Buffer, RegExp][] = [
      [
        'cut',
        whole.subarray(0, whole.length - 100),
        /cut.* line \d+: unexpected end of file; take/,
      ],
      ['plain', Buffer.from(text), /plain.* line 0: incorrect header check/],
      ['no-log', gzipSync('{"seq":1}\n'), /no-log.* line 1: it is no row of a log/],
      ['half', gzipSync(text.slice(0, -300)), /half.* line 10: .*JSON/],
      ['no-time', gzipSync(text.replace(/"ts":"[^"]+"/, '"ts":"x"')), /no-time.* line 1: .*ts/],
      ['no-seq', gzipSync(text.replace('"seq":3', '"seq":3.5')), /no-seq.* line 3: .*seq/],
    ];
    for (const [name, bytes, said] of cases) {
      writeFileSync(archiveFile(name), bytes);
      const { code, err } = await call(log, 'verify', '--archive', archiveFile(name));
      expect([name, code, err]).toEqual([name, 2, expect.stringMatching(said)]);
    }
    const { code, err } = await call(replay, '--verify', '--archive', archiveFile('nowhere'));
    expect([code, err]).toEqual([2, expect.stringMatching(/nowhere.*no such file/)]);
    writeFileSync(
      archiveFile('forged'),
      gzipSync(text.replace('"actor":', '"actor":"eve","was":')),
    );
    const forged = await call(log, 'verify', '--archive', archiveFile('forged'), '--json');
    expect(forged.json()).toMatchObject({ ok: false, missing: null });
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
    for (const at of ['yesterday', '500.5', '-3'])
      expect([at, (await call(replay, `--at=${at}`)).code]).toEqual([at, 2]);
  });

  it('decides again', async () => {
    const again = await call(replay, '--redecide', '--json');
    expect([again.code, again.json()]).toEqual([
      0,
      expect.objectContaining({ ok: true, differing: 0, skippedCount: 0 }),
    ]);
  });

  it('begins at a snapshot, and takes detached rows from an archive', async () => {
    const file = archiveFile('p0');
    const run: Pool['run'] = (statements) => pool.run(statements);
    await writeArchive(file, walkStored(run, { after: 0, through: 10 }));
    expect(await snapshot()).toBe(headSeq);
    expect(await snapshot()).toBeNull();
    // Nobody has proved it yet, so that it may be a copy of damage.
    const slow = await call(replay, '--verify', '--from-snapshot', '--json');
    expect(slow.json()).toMatchObject({ ok: true, rows: headSeq });
    await pool.run((sql) => sql`UPDATE snapshot SET folds_equal = true`);
    const fast = await call(replay, '--verify', '--from-snapshot', '--json');
    expect(fast.json()).toMatchObject({ ok: true, rows: 0 });
    await detachAndDrop(10);
    expect((await call(replay, '--verify', '--json')).json()).toMatchObject({ ok: true, rows: 0 });
    expect((await call(replay, '--at', '12')).err).toContain('were detached');
    const whole = await call(replay, '--verify', '--archive', file, '--json');
    expect(whole.json()).toMatchObject({ ok: true, rows: headSeq });
    expect((await call(log, 'verify', '--archive', file)).code).toBe(0);
  });

  it('is not deceived by a snapshot of damaged tables', async () => {
    await snapshot();
    await pool.run((sql) => sql`UPDATE snapshot SET folds_equal = true`);
    const leading = startReplica(url, 'a');
    await leading.lead();
    await leading.stop();
    await pool.run((sql) => sql`UPDATE host SET reported_closure = 'x' WHERE hostname = 'web1'`);
    expect(await snapshot()).toBe(headSeq + 1);
    await detachAndDrop(10);
    for (const flags of [[], ['--from-snapshot']]) {
      const found = await call(replay, '--verify', ...flags, '--json');
      expect(found.json()).toMatchObject({
        ok: false,
        differences: [{ field: 'reportedClosure' }],
      });
    }
    expect((await call(replay, '--rebuild')).code).toBe(0);
    expect((await call(replay, '--verify', '--json')).json()).toMatchObject({ ok: true, rows: 1 });
    const left = await pool.run((sql) => sql`SELECT seq FROM snapshot`);
    expect([...left]).toEqual([{ seq: headSeq }]);
  });

  it('says how it is used', async () => {
    expect((await call(replay)).code).toBe(2);
    expect((await call(replay, '--verify', '--rebuild')).code).toBe(2);
    expect((await call(replay, '--verify', '--limit', '0')).code).toBe(2);
  });
});
