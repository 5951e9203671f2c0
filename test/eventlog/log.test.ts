import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { replay } from '../../src/cli/replay.ts';
import { audit } from '../../src/eventlog/audit.ts';
import { readLog } from '../../src/eventlog/read.ts';
import { loadState } from '../../src/eventlog/state.ts';
import { isAbout } from '../../src/eventlog/about-host.ts';
import {
  readTail,
  type TailFilter,
  type TailQuery,
  type TailRow,
} from '../../src/eventlog/tail.ts';
import type { LogEntry } from '../../src/reducer/log.ts';
import type { Change, RecordSet } from '../../src/reducer/state/change.ts';
import { dump, restore } from '../../src/reducer/state/rows-io.ts';
import { decodePayload, encodePayload, encoding } from '../../src/wire/log.ts';
import { createTestDatabase } from '../support/database.ts';
import { startReplica, type Replica } from '../support/installation.ts';
import { declareFleet, heartbeat, journey, type SmallFleet } from '../support/small-fleet.ts';

let a: Replica;
let url: string;
let fleet: SmallFleet;

beforeEach(async () => {
  ({ url } = await createTestDatabase());
  a = startReplica(url, 'a');
  await a.lead();
  fleet = await declareFleet(a.pool, 3, 'abc2');
  const inputs = [fleet.input, ...fleet.hosts.flatMap((h) => [heartbeat(h), ...journey(fleet, h)])];
  for (const input of inputs) await a.submitter.submit(input, { waitMs: 5_000 });
  await a.resign();
});
afterEach(() => a.stop());

const run: Replica['pool']['run'] = (read) => a.pool.run(read);

/** As someone who owns the database and switches the triggers off. */
async function tamper(statement: string): Promise<void> {
  await a.pool.run((sql) => sql.unsafe(`ALTER TABLE event_log DISABLE TRIGGER ALL; ${statement}`));
}

describe('the event log', () => {
  it('is gapless, chained, and folds to the tables', async () => {
    const report = await audit(run);
    expect(report).toMatchObject({ gapless: true, brokenAt: null, unequal: [] });
    expect(report.rows).toBeGreaterThan(15);
  });

  it('shows a changed row, a removed row and a change of the tables', async () => {
    await a.pool.run(
      (sql) => sql`UPDATE host SET reported_closure = 'x' WHERE hostname = 'host-0001'`,
    );
    expect((await audit(run)).unequal).toEqual(['hosts']);
    await tamper(`UPDATE event_log SET payload = (payload::text || ' ')::json WHERE seq = 7`);
    expect((await audit(run)).brokenAt).toBe(7);
    await tamper('DELETE FROM event_log WHERE seq = 5');
    expect(await audit(run)).toMatchObject({ gapless: false, brokenAt: 6 });
  });

  it('can be chained in plain SQL, and so can a row of a megabyte', async () => {
    await a.lead();
    const reason = 'é'.repeat(500_000);
    const command = { command: 'PauseFleet' } as const;
    await a.submitter.submit(
      { kind: 'OperatorCommand', actor: 'cert:ada', reason, expectedSeq: null, command },
      { waitMs: 5_000 },
    );
    await a.resign();
    const column = (text: string): string =>
      `coalesce(int4send(octet_length(${text})) || convert_to(${text}, 'UTF8'), '\\xffffffff')`;
    const columns = [
      'seq::text',
      '(extract(epoch FROM ts) * 1000000)::bigint::text',
      ...['epoch::text', 'kind', 'hostname', 'rollout_id', 'channel', 'actor', 'caused_by::text'],
      'payload::text',
    ];
    const [row] = await a.pool.run((sql) =>
      sql.unsafe<{ broken: number; largest: number }[]>(`
        SELECT count(*) FILTER (WHERE hash <> expected)::int AS broken, max(bytes) AS largest FROM (
          SELECT hash, sha256(coalesce(lag(hash) OVER (ORDER BY seq), decode(repeat('00', 32), 'hex'))
            || ${columns.map(column).join(' || ')}) AS expected
          , octet_length(payload::text) AS bytes FROM event_log) AS chain`),
    );
    expect(row?.broken).toBe(0);
    expect(row?.largest).toBeGreaterThan(reason.length);
  });

  it('is read by rollout, by host and by page, in order', async () => {
    const all = await a.pool.run((sql) => readLog(sql, { after: 0, limit: 1_000 }));
    expect(all.map((row) => row.seq)).toEqual(all.map((_, i) => i + 1));
    const page = await a.pool.run((sql) => readLog(sql, { after: 2, limit: 2 }));
    expect(page.map((row) => row.seq)).toEqual([3, 4]);
    const seqs = async (filter: TailFilter): Promise<number[] | undefined> =>
      (await a.pool.run((sql) => readTail(sql, { after: 0, limit: 1_000, ...filter })))?.rows.map(
        (row) => row.seq,
      );
    const { rolloutId } = fleet;
    const ofRollout = all.filter((row) => row.rolloutId === rolloutId);
    expect(await seqs({ rolloutId })).toEqual(ofRollout.map((row) => row.seq));
  });

  it('is read by host: its own rows, those that name it among others, and pauses that reach it', async () => {
    const command = (name: 'PauseFleet' | 'ResumeFleet') =>
      a.submitter.submit(
        {
          kind: 'OperatorCommand',
          ...{ actor: 'cert:ada', reason: 'a test', expectedSeq: null, command: { command: name } },
        },
        { waitMs: 5_000 },
      );
    await a.lead();
    await command('PauseFleet');
    await command('ResumeFleet');
    await a.resign();
    const read = async (more: Partial<TailQuery>): Promise<readonly TailRow[]> =>
      (await a.pool.run((sql) => readTail(sql, { after: 0, limit: 1_000, ...more })))?.rows ?? [];
    const all = await read({});
    const host = { hostname: 'host-0002', channel: 'stable' };
    const about = all.filter((row) => isAbout(row, host));
    expect(await read({ host })).toEqual(about);
    // In pages that hold few of its own, the others are not passed over, forward or backward.
    expect(await read({ host, limit: 2 })).toEqual(about.slice(0, 2));
    expect(await read({ host, limit: 3, after: about[1]?.seq ?? 0 })).toEqual(about.slice(2, 5));
    expect(await read({ host, limit: 4, after: null })).toEqual(about.slice(-4));
    const kinds = about.filter(({ hostname }) => hostname === null).map(({ kind }) => kind);
    expect(kinds).toEqual(expect.arrayContaining(['gate_decision', 'operator_command']));
    const [shared] = about.filter((row) => row.hostname === null && row.kind === 'gate_decision');
    expect(shared?.payload).toMatchObject({
      hosts: expect.arrayContaining(['host-0001']) as unknown,
    });
    expect(
      (await read({ host: { hostname: 'host-9999', channel: null } })).map((r) => r.kind),
    ).toEqual(['operator_command', 'operator_command']);
  });

  it('holds all that its decisions needed: decided again, nothing differs', async () => {
    await a.lead(); // takes over, and plans everything
    await a.submitter.submit(heartbeat('host-0001'), { waitMs: 5_000 });
    await a.resign();
    let out = '';
    const io = { stdout: { write: (text: string) => (out += text) }, stderr: process.stderr };
    expect(await replay(['--redecide', '--json', '--database-url', url], io)).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ ok: true, differing: 0, skippedCount: 0 });
  });

  it('state loaded from the tables is the state that was folded', async () => {
    const tables = dump(restore(await run(loadState)));
    expect(await audit(run)).toMatchObject({ unequal: [] });
    expect(tables.records).toHaveLength(3);
    expect(tables.rollouts.map((row) => row.state)).toEqual(['Terminal']);
  });
});

describe('payloads', () => {
  const entry = { payload: { action: 'x' }, changes: [{ t: 'prune', rolloutId: 'r@1' }] } as const;
  const ts = '2026-05-16T01:27:01.000Z';
  const row = { ts, hostname: 'h', rolloutId: 'r@1', channel: 'r' };

  const record = (set: RecordSet): Change => ({
    ...{ t: 'record', rolloutId: 'r@1', hostname: 'h', set },
  });
  const mode = 'enforce';
  const passed = { kind: 'ProbeResult', seq: 6, probeName: 'p', mode, observedAt: '2026-05-16' };
  const pass = { lastObservedAt: '2026-05-16', lastPassAt: '2026-05-16', failureReason: null };
  const probes = { p: { status: 'pass', mode, ...pass } } as const;

  it('come back as they were', () => {
    const changes: Change[] = [
      record({ lastAcceptedAt: ts, stuck: true }),
      { t: 'record', rolloutId: 'r@2', hostname: 'h', set: { convergedAt: null, closed: null } },
      { t: 'dispatch', rolloutId: 'r@1', hostname: 'h', set: null },
      { t: 'host', hostname: 'h', set: { hold: { actor: 'a', reason: ts, at: ts } } },
      { t: 'channel', channel: 'r', set: { signedAt: ts, note: '=to', waitingRef: '=' } },
      { t: 'blocker', rolloutId: 'r@1', hosts: ['h'], gates: ['paused'], since: ts },
      { t: 'blocker', rolloutId: 'r@1', hosts: ['h', 'i'], gates: [], since: null },
      record({ lastAcceptedAt: '2026-05-15T00:00:00.000Z', lastEventSeq: 3 }),
      record({ probes: { ...probes, q: probes.p }, currentClosure: '==', targetClosure: 'c' }),
      record({ probes, lastEventSeq: 6, lastAcceptedAt: ts, state: 'Soaking' }),
    ];
    const facts = { note: true, to: 'Soaking', event: passed, targetClosure: 'c' };
    const each = [
      entry,
      ...[['h'], ['h', 'i'], 3].map((hosts) => ({
        ...{ payload: { ...facts, scope: 'host', gates: ['paused'], hosts }, changes },
      })),
      ...changes.map((change) => ({ payload: facts, changes: [change] })),
      ...changes.map((change) => ({ payload: {}, changes: [change] })),
      { payload: {}, changes: [] },
    ];
    for (const one of each)
      expect(decodePayload(JSON.parse(encodePayload(one, row)), row)).toEqual(one);
  });

  it('do not repeat what the row says', () => {
    const said = (payload: LogEntry['payload'], ...changes: Change[]): string =>
      encodePayload({ payload, changes }, row).replace('{"v":2,', '');
    expect(said({}, record({ lastAcceptedAt: ts, lastEventSeq: 2 }))).toBe('"set":{"took":2}}');
    const held: Change = { t: 'blocker', rolloutId: 'r@1', hosts: ['h'], gates: ['p'], since: ts };
    const facts = { scope: 'host', gates: ['p'], hosts: ['h'] };
    expect(said(facts, held, record({ soakDueAt: ts, stuck: false }))).toBe(
      '"scope":"host","gates":["p"],"changes":[{"t":"blocker","since":true},{"set":{"soakDueAt":true,"stuck":false}}]}',
    );
    expect(said({ to: 'Soaking' }, record({ state: 'Soaking' }))).toBe(
      '"to":"Soaking","set":{"state":"=to"}}',
    );
    expect(said({ targetClosure: 'c' }, record({ targetClosure: 'c' }))).toBe(
      '"targetClosure":"c","set":{"targetClosure":"="}}',
    );
    expect(said({ event: passed }, record({ probes }))).toContain('"set":{"probes":"="}');
    expect(encodePayload({ payload: {}, changes: [] }, row)).toBe('{"v":2}');
  });

  it('are written in steps where there is much to write, and say the same', () => {
    const hosts = Array.from({ length: 3_000 }, (_, i) => `h${String(i)}`);
    const changes: Change[] = [
      { t: 'blocker', rolloutId: 'r@1', hosts, gates: [], since: null },
      ...hosts.map((hostname): Change => ({ t: 'host', hostname, set: { reachabilityAt: ts } })),
      ...hosts.map((hostname): Change => {
        return { t: 'record', rolloutId: 'r@1', hostname, set: { stuck: true } };
      }),
    ];
    const many = { payload: { action: 'WithdrawDispatch', hosts }, changes };
    const work = encoding(many, row);
    let pauses = 0;
    let step = work.next();
    for (; step.done !== true; step = work.next()) pauses += 1;
    expect(pauses).toBeGreaterThan(5);
    expect(step.value).toBe(encodePayload(many, row));
  });

  it('of the first format say nothing by reference', () => {
    const v1 = { v: 1, to: 'Soaking', set: { closed: '=to', stuck: true, soakDueAt: true } };
    expect(decodePayload(v1, row).changes).toEqual([
      record({ closed: '=to', stuck: true, soakDueAt: ts } as unknown as RecordSet),
    ]);
  });

  it('keep their own names to themselves, and refuse what they do not know', () => {
    expect(() => encodePayload({ ...entry, payload: { v: 3 } }, row)).toThrow('reserved');
    expect(() => decodePayload({ v: 3, changes: [] }, row)).toThrow('unknown version');
    expect(() => decodePayload({ v: 1, changes: [{ t: 'else' }] }, row)).toThrow('unknown change');
    expect(() => decodePayload({ v: 1, changes: 'x' }, row)).toThrow('no list');
    expect(() => decodePayload({ v: 2, set: { state: '=to' } }, row)).toThrow('which it lacks');
  });
});
