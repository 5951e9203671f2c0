/**
 * A log, tables and snapshots that two versions wrote in turn, as while one replaces the other: what a version does not
 * know it neither calls a difference nor wipes, and what an older one could not copy is no ground to stand on.
 */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { replay } from '../../src/cli/replay.ts';
import type { Pool } from '../../src/db/pool.ts';
import { keepLog, type LogKeeping } from '../../src/eventlog/keep.ts';
import { callOn, openScenario, tamperWith } from './support/scenario-log.ts';

let url: string;
let pool: Pool;
let headSeq: number;
let keeping: LogKeeping;
const pools: Pool[] = [];

beforeEach(async () => {
  ({ url, pool, headSeq } = await openScenario('03-waves.txt'));
  keeping = keepLog({ url, schema: 'muster', name: 'test' }, pool);
  pools.push(pool);
});
afterAll(() => Promise.all(pools.map((one) => one.end())));

const call = (...args: string[]) => callOn(url, replay, ...args);
const tamper = (text: string) => tamperWith(pool, text);

/** As a leader of a newer version: one more column of hosts, set by the rows that set another. */
const newerRows = () =>
  tamper(`ALTER TABLE host ADD COLUMN mood text;
    UPDATE host SET mood = 'calm';
    DO $$ DECLARE r record; BEGIN
      FOR r IN SELECT seq FROM event_log ORDER BY seq LOOP
        UPDATE event_log SET payload = replace(payload::text, '"reachabilityAt":', '"mood":"calm","reachabilityAt":')::json
          WHERE seq = r.seq;
        UPDATE event_log l SET hash = muster_v1.row_hash(
          coalesce((SELECT p.hash FROM event_log p WHERE p.seq = r.seq - 1), decode(repeat('00', 32), 'hex')), l.seq, l.ts, l.epoch, l.kind,
          l.hostname, l.rollout_id, l.channel, l.actor, l.caused_by, l.payload::text) WHERE l.seq = r.seq;
      END LOOP;
    END $$`);

/** As an older version takes them: without a column that came since. */
const withoutColumn = (seq: number, family: string, field: string) =>
  pool.run(
    (sql) => sql`UPDATE snapshot_part SET rows =
        (SELECT json_agg(r::jsonb - ${field}::text) FROM json_array_elements(rows) r)
      WHERE seq = ${seq} AND family = ${family}`,
  );

/** Commits a row that changes nothing, so that there is something new to take a snapshot of. */
const anotherRow = () =>
  tamper(`INSERT INTO event_log (seq, ts, epoch, kind, payload, hash)
    SELECT seq + 1, ts, epoch, 'liveness', '{"v":2}'::json, muster_v1.row_hash(hash, seq + 1, ts, epoch, 'liveness',
      NULL, NULL, NULL, NULL, NULL, '{"v":2}') FROM event_log ORDER BY seq DESC LIMIT 1;
    UPDATE leader_progress SET head_seq = head_seq + 1`);

/** What retention leaves, when the owner has dropped the detached table. */
const detachAndDrop = (last: number) =>
  tamper(`INSERT INTO log_detached SELECT 'p', 1, seq, ts, ts, sha256('a'), hash FROM event_log
      WHERE seq = ${String(last)};
    DELETE FROM event_log WHERE seq <= ${String(last)}`);

const proven = () =>
  pool.run(
    (sql) => sql<{ seq: number }[]>`SELECT seq FROM snapshot WHERE folds_equal ORDER BY seq`,
  );

async function olderSnapshot(): Promise<number> {
  const seq = (await keeping.snapshot(0)) ?? 0;
  expect(await keeping.prove()).toMatchObject({ wrong: null });
  await withoutColumn(seq, 'hosts', 'reportedClosure');
  return seq;
}

describe('a newer log', () => {
  beforeEach(newerRows);

  it('is compared in what this version knows, and the rest is said', async () => {
    const { code, out } = await call('--verify');
    expect([code, out]).toEqual([
      0,
      expect.stringMatching(
        /^1 column that this Muster does not know was not compared: hosts\.mood; the version that wrote it does\n\d+ rows up to \d+ fold to the tables/,
      ),
    ]);
    expect((await call('--verify', '--json')).json()).toMatchObject({
      ok: true,
      notCompared: ['hosts.mood'],
    });
    await pool.run((sql) => sql`UPDATE host SET reported_closure = 'x' WHERE hostname = 'web1'`);
    expect((await call('--verify')).code).toBe(1);
  });

  it('is no ground to write tables anew that hold more than this version knows', async () => {
    const { code, err } = await call('--rebuild');
    expect([code, err]).toEqual([2, expect.stringMatching(/host\.mood.* newer /)]);
    const [row] = await pool.run(
      (sql) => sql`SELECT count(*)::int AS n FROM host WHERE mood = 'calm'`,
    );
    expect(row?.['n']).toBeGreaterThan(0);
  });

  it('leaves a snapshot unproven that holds more than this version can compare', async () => {
    const seq = (await keeping.snapshot(0)) ?? 0;
    await pool.run(
      (sql) => sql`UPDATE snapshot_part SET rows =
          (SELECT json_agg(r::jsonb || '{"mood":"calm"}') FROM json_array_elements(rows) r)
        WHERE seq = ${seq} AND family = 'hosts'`,
    );
    expect(await keeping.prove()).toMatchObject({ wrong: null });
    expect(await proven()).toEqual([]);
  });
});

describe('a snapshot that lacks a column', () => {
  it('is passed over, and what is taken next is proven from before it', async () => {
    const older = await olderSnapshot();
    await anotherRow();
    const seq = await keeping.snapshot(0);
    expect(await keeping.prove()).toEqual({ wrong: null, passedOver: [older], notCompared: [] });
    expect(await proven()).toEqual([{ seq: older }, { seq }]);
    await anotherRow();
    await keeping.snapshot(0);
    expect(await keeping.prove()).toEqual({ wrong: null, passedOver: [], notCompared: [] });
    expect(await call('--verify', '--from-snapshot')).toMatchObject({ code: 0 });
  });

  it('is no place to begin at, while there are rows before it', async () => {
    await olderSnapshot();
    const { code, json } = await call('--verify', '--from-snapshot', '--json');
    expect([code, json()]).toEqual([0, expect.objectContaining({ ok: true, rows: headSeq })]);
  });

  it('stands for what it has, where the rows before it are gone', async () => {
    const older = await olderSnapshot();
    await detachAndDrop(older - 1);
    const verified = await call('--verify');
    expect([verified.code, verified.out]).toEqual([
      0,
      expect.stringContaining(
        `not compared: hosts.reportedClosure; the snapshot of row ${String(older)}, by an older Muster, lacks it`,
      ),
    ]);
    await anotherRow();
    await keeping.snapshot(0);
    expect(await keeping.prove()).toEqual({
      ...{ wrong: null, passedOver: [] },
      notCompared: ['hosts.reportedClosure'],
    });
    await anotherRow();
    await keeping.snapshot(0);
    expect(await keeping.prove()).toEqual({ wrong: null, passedOver: [], notCompared: [] });
  });

  it('is no ground to write tables anew that hold more than it does', async () => {
    const older = await olderSnapshot();
    await detachAndDrop(older - 1);
    const refused = await call('--rebuild');
    expect([refused.code, refused.err]).toEqual([
      2,
      expect.stringMatching(/hosts\.reportedClosure.*--archive FILE/),
    ]);
    await pool.run((sql) => sql`UPDATE host SET reported_closure = NULL, hold = NULL`);
    expect(await call('--rebuild')).toMatchObject({ code: 0 });
  });
});
