/**
 * What `muster replay` and `muster log` say of a log that is not whole, and of one whose beginning was detached: the
 * first row that is wrong, and never a fleet that nobody can know.
 */
import path from 'node:path';
import { afterAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { log } from '../../src/cli/log.ts';
import { replay } from '../../src/cli/replay.ts';
import type { Pool } from '../../src/db/pool.ts';
import { writeArchive } from '../../src/eventlog/archive.ts';
import { keepLog } from '../../src/eventlog/keep.ts';
import { walkStored } from '../../src/eventlog/stored.ts';
import { callOn, openScenario, tamperWith } from './support/scenario-log.ts';

let url: string;
let pool: Pool;
let head: number;
const pools: Pool[] = [];

beforeEach(async () => {
  ({ url, pool, headSeq: head } = await openScenario('03-waves.txt'));
  pools.push(pool);
  await tamper('');
});
afterAll(() => Promise.all(pools.map((one) => one.end())));

const call = (command: typeof replay, ...args: string[]) => callOn(url, command, ...args);
const tamper = (text: string) => tamperWith(pool, text);

async function one(text: string): Promise<string> {
  const [row] = await pool.run((sql) => sql.unsafe<{ value: string }[]>(`SELECT ${text} AS value`));
  return row?.value ?? '';
}

const timeOf = (seq: number): Promise<string> =>
  one(`(SELECT to_json(ts)#>>'{}' FROM event_log WHERE seq = ${String(seq)})`);

const opens = (): Promise<string> =>
  one(`(SELECT min(seq)::text FROM event_log WHERE payload->'changes'->0->>'t' = 'rollout')`);

/** Gives a row the hash that its content asks for, and chains all after it anew. */
const CHAIN_ANEW = `DO $$ DECLARE r record; BEGIN
  FOR r IN SELECT * FROM event_log ORDER BY seq LOOP
    UPDATE event_log SET hash = muster_v1.row_hash(
      coalesce((SELECT hash FROM event_log WHERE seq = r.seq - 1), decode(repeat('00', 32), 'hex')), r.seq, r.ts, r.epoch,
      r.kind, r.hostname, r.rollout_id, r.channel, r.actor, r.caused_by, r.payload::text) WHERE seq = r.seq;
  END LOOP;
END $$`;

describe('a row that is missing', () => {
  it('is what --verify says first, though nothing after it can be folded', async () => {
    const gone = Number(await opens());
    await tamper(`DELETE FROM event_log WHERE seq = ${String(gone)}`);
    const { code, out } = await call(replay, '--verify');
    expect([code, out]).toEqual([
      1,
      expect.stringMatching(
        `^row ${String(gone)} is missing\nrow ${String(gone + 1)} does not follow.*\nrow \\d+ cannot be made sense of`,
      ),
    ]);
    expect((await call(replay, '--verify', '--json')).json()).toMatchObject({
      ...{ ok: false, missing: gone, brokenAt: gone + 1 },
      ...{ stopped: { seq: expect.any(Number) as number }, differences: [] },
    });
    const rebuilt = await call(replay, '--rebuild');
    expect([rebuilt.code, rebuilt.err]).toEqual([2, expect.stringContaining('is not whole')]);
    const again = await call(replay, '--redecide');
    expect([again.code, again.out]).toEqual([
      1,
      expect.stringContaining(`row ${String(gone)} is missing\n`),
    ]);
    expect(again.err).toContain('muster log verify');
  });

  it('is missed at the end, when the tables are ahead of the log', async () => {
    await tamper(`DELETE FROM event_log WHERE seq > ${String(head - 4)}`);
    const { code, out } = await call(replay, '--verify');
    expect([code, out]).toEqual([1, expect.stringContaining(`row ${String(head - 3)} is missing`)]);
  });

  it('is missed at the end by whoever looks at the chain alone, when more was committed', async () => {
    await tamper(`INSERT INTO leader_progress (epoch, commit_no, head_seq, at)
      VALUES (1, 1, ${String(head)}, now()) ON CONFLICT (singleton) DO UPDATE SET head_seq = excluded.head_seq`);
    expect((await call(log, 'verify')).code).toBe(0);
    await tamper(`DELETE FROM event_log WHERE seq > ${String(head - 4)}`);
    const { code, out } = await call(log, 'verify');
    const said = `the log ends at row ${String(head - 4)}, and more was committed`;
    expect([code, out]).toEqual([1, expect.stringContaining(said)]);
    expect((await call(log, 'verify', '--json')).json()).toMatchObject({ endsBefore: head - 4 });
  });

  it('lets no fleet after it be told', async () => {
    const then = await timeOf(head - 4);
    await tamper(`DELETE FROM event_log WHERE seq = ${String(head - 4)}`);
    for (const at of [String(head), String(head - 4), then]) {
      const { code, out, err } = await call(replay, '--at', at);
      expect([at, code, out]).toEqual([
        at,
        1,
        expect.stringContaining(`row ${String(head - 4)} is missing`),
      ]);
      expect(out).not.toContain('ROLLOUT');
      expect(err).toContain(`--at ${String(head - 5)}`);
      const said = (await call(replay, '--at', at, '--json')).json();
      expect(said).toMatchObject({ ok: false, missing: head - 4 });
      expect(said).not.toHaveProperty('hosts');
    }
    const before = await call(replay, '--at', String(head - 5));
    expect([before.code, before.out]).toEqual([0, expect.stringMatching(/^after row/)]);
  });

  it('is missed at the beginning, where nothing was detached', async () => {
    await tamper('DELETE FROM event_log WHERE seq < 4');
    for (const how of [['--verify'], ['--at', '9'], ['--at', '2020-01-01T00:00:00Z']]) {
      const { code, out } = await call(replay, ...how);
      expect([how, code, out]).toEqual([how, 1, expect.stringContaining('row 1 is missing')]);
    }
  });
});

describe('a row that was changed', () => {
  it('is named, of whatever version its payload is', async () => {
    for (const payload of ['[]', '{"v":99}', '{"v":2,"changes":[{"t":"else"}]}']) {
      await tamper(`UPDATE event_log SET payload = '${payload}' WHERE seq = 9`);
      for (const how of [['--verify'], ['--redecide'], ['--at', '12']]) {
        const { code, out, err } = await call(replay, ...how);
        expect([payload, how, code]).toEqual([payload, how, 1]);
        expect(out).toMatch(/^row 9 does not follow.*\nrow 9 cannot be made sense of/);
        expect(out + err).not.toContain('too old');
        expect(out).not.toContain('ROLLOUT');
      }
    }
  });

  it('is named when its hash, and all after it, were made anew', async () => {
    await tamper(`UPDATE event_log SET payload = '[]' WHERE seq = 9; ${CHAIN_ANEW}`);
    expect((await call(log, 'verify')).code).toBe(0);
    const found = await call(replay, '--verify');
    expect([found.code, found.out]).toEqual([
      1,
      expect.stringMatching(/^row 9 cannot be made sense of/),
    ]);
    await tamper(`UPDATE event_log SET payload = '{"v":99}' WHERE seq = 9; ${CHAIN_ANEW}`);
    const newer = await call(replay, '--verify');
    expect([newer.code, newer.err]).toEqual([2, expect.stringMatching(/row 9: .* too old for/)]);
  });

  it('is said with the fleet that the rows give', async () => {
    await tamper(`UPDATE event_log SET actor = 'eve' WHERE seq = 9`);
    const shown = await call(replay, '--at', '12');
    expect([shown.code, shown.out]).toEqual([
      1,
      expect.stringMatching(/^row 9 does not follow.*\n\nafter row 12/),
    ]);
    expect(shown.err).toContain('may not be');
    expect((await call(replay, '--at', '12', '--json')).json()).toMatchObject({
      ...{ ok: false, brokenAt: 9, headSeq: 12 },
    });
    expect((await call(replay, '--at', '8', '--json')).json()).toMatchObject({ ok: true });
    const again = await call(replay, '--redecide', '--json');
    expect([again.code, again.json()]).toEqual([
      1,
      expect.objectContaining({ ok: false, brokenAt: 9 }),
    ]);
  });

  it('is noticed below the snapshot that a look back begins at, unless that is to be trusted', async () => {
    await keepLog({ url, schema: 'muster', name: 'test' }, pool).snapshot(0);
    await pool.run((sql) => sql`UPDATE snapshot SET folds_equal = true`);
    await tamper(`UPDATE event_log SET actor = 'eve' WHERE seq = 9`);
    expect((await call(replay, '--at', String(head))).code).toBe(1);
    expect((await call(replay, '--at', String(head), '--from-snapshot')).code).toBe(0);
    await tamper(CHAIN_ANEW);
    const { code, out } = await call(replay, '--at', String(head));
    expect([code, out]).toEqual([1, expect.stringContaining(`row ${String(head)} does not`)]);
  });
});

describe('a beginning that was detached', () => {
  /** Rows up to `last`, as retention leaves them. */
  async function detach(last: number): Promise<void> {
    const name = `event_log_detached_${String(last)}`;
    await tamper(`CREATE TABLE ${name} AS SELECT * FROM event_log WHERE seq <= ${String(last)};
      INSERT INTO log_detached SELECT '${name}', min(seq), max(seq), min(ts), max(ts), sha256('a'),
        (SELECT hash FROM event_log WHERE seq = ${String(last)}) FROM ${name};
      DELETE FROM event_log WHERE seq <= ${String(last)}`);
  }

  async function archive(name: string, after: number, through: number): Promise<string> {
    const file = path.join(inject('scratchDir'), `${String(process.pid)}-unsound-${name}.jsonl.gz`);
    await writeArchive(
      file,
      walkStored((read) => pool.run(read), { after, through }),
    );
    return file;
  }

  it('is looked back into by time, in its table or its archives', async () => {
    const times = await Promise.all([3, 9, 14].map(timeOf));
    const whole = await Promise.all(times.map((at) => call(replay, '--at', at)));
    expect(whole.map(({ code }) => code)).toEqual([0, 0, 0]);
    const files = [await archive('a', 0, 5), await archive('b', 5, 12)];
    const archives = files.flatMap((file) => ['--archive', file]);
    await detach(5);
    await detach(12);
    for (const [i, at] of times.entries()) {
      expect((await call(replay, '--at', at)).out).toBe(whole[i]?.out);
      expect((await call(replay, '--at', at, ...archives)).out).toBe(whole[i]?.out);
    }
    await tamper('DROP TABLE event_log_detached_5, event_log_detached_12');
    for (const [i, at] of times.entries())
      expect((await call(replay, '--at', at, ...archives)).out).toBe(whole[i]?.out);
    const first = await call(replay, '--at', '2020-01-01T00:00:00Z', ...archives);
    expect([first.code, first.out]).toEqual([
      0,
      expect.stringContaining('before the first row; fleet undeclared'),
    ]);
  });

  it('is not answered with an empty fleet', async () => {
    const times = await Promise.all([3, 9].map(timeOf));
    const files = [await archive('c', 0, 5), await archive('d', 5, 12)] as const;
    await detach(5);
    await detach(12);
    await tamper('DROP TABLE event_log_detached_5, event_log_detached_12');
    const cases = [
      ...times.map((at) => [at]),
      [times[1] ?? '', '--archive', files[0]],
      [times[0] ?? '', '--archive', files[1]],
      ['2020-01-01T00:00:00Z'],
      ['2020-01-01T00:00:00Z', '--archive', files[1]],
      ['7', '--archive', files[0]],
      ['7', '--archive', files[1]],
    ];
    for (const args of cases) {
      const { code, out, err } = await call(replay, '--at', ...args);
      expect([args, code === 0, out + err]).toEqual([
        args,
        false,
        expect.stringMatching('detached'),
      ]);
      expect(out).not.toContain('ROLLOUT');
    }
  });

  it('is walked where its tables are still there', async () => {
    await detach(5);
    await detach(12);
    expect((await call(replay, '--verify', '--json')).json()).toMatchObject({
      ok: true,
      rows: head,
    });
    expect((await call(log, 'verify', '--json')).json()).toMatchObject({ ok: true, from: 1 });
    await tamper(`UPDATE event_log_detached_5 SET actor = 'eve' WHERE seq = 4`);
    expect((await call(log, 'verify', '--json')).json()).toMatchObject({ ok: false, brokenAt: 4 });
    await tamper('DROP TABLE event_log_detached_5');
    expect((await call(log, 'verify', '--json')).json()).toMatchObject({ ok: true, from: 6 });
  });
});
