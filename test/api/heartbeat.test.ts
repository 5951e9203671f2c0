/** Heartbeats against committed rows: replays, snapshots, and everything that forbids a snapshot. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase } from '../support/database.ts';
import { APPLIED, startReplica, type Replica } from './support/fakes.ts';
import { agePresence, NEWER, putHost, putRecord, putRollout, ROLLOUT } from './support/rows.ts';

const AT = '2026-05-16T01:27:01Z';
let url: string;
let replica: Replica;

beforeAll(async () => {
  ({ url } = await createTestDatabase());
  replica = await startReplica(url);
  await putRollout(replica.pool, ROLLOUT, 1);
  await putRollout(replica.pool, NEWER, 2);
});
afterAll(() => replica.stop());

async function beat(host: string, fields: object = {}, by = replica) {
  const response = await by.api.app.inject({
    method: 'POST',
    url: '/v1/agent/heartbeat',
    headers: { 'x-muster-dev-identity': `agent:${host}` },
    payload: { hostname: host, at: AT, current_closure: 'old', ...fields },
  });
  expect(response.statusCode).toBe(200);
  const body: { bootstrap_rollouts?: { rolloutId: string; state: string }[] } = response.json();
  return {
    replay: response.headers['x-nixfleet-replay-from'],
    snapshots: body.bootstrap_rollouts,
    body,
  };
}

/** A reachable host in the newest rollout that was heard a minute ago. */
async function known(host: string, fields: Parameters<typeof putRecord>[3] = {}): Promise<void> {
  await putHost(replica.pool, host);
  await putRecord(replica.pool, host, NEWER, fields);
  await beat(host);
  await agePresence(replica.pool, host, 60);
}

const postEvent = (host: string) =>
  replica.api.app.inject({
    method: 'POST',
    url: '/v1/agent/events',
    headers: { 'x-muster-dev-identity': `agent:${host}` },
    payload: {
      hostname: host,
      rolloutId: NEWER,
      event: { kind: 'ActivationStarted', seq: 3, startedAt: AT, switchMethod: 'switch' },
    },
  });

describe('presence', () => {
  it('is kept with what the host said', async () => {
    await putHost(replica.pool, 'present');
    await beat('present', { agent_version: '0.2.1', uptime_secs: 12.5 });
    const [row] = await replica.pool.run(
      (sql) => sql`SELECT * FROM presence WHERE hostname = 'present'`,
    );
    expect(row).toMatchObject({
      closure: 'old',
      agent_version: '0.2.1',
      uptime_secs: 12.5,
      replica: 'test',
    });
  });

  it('of many hosts at once costs no input', async () => {
    const hosts = Array.from({ length: 200 }, (_, i) => `crowd-${String(i)}`);
    for (const host of hosts) await putHost(replica.pool, host);
    const before = replica.inputs.length;
    await Promise.all(hosts.map((host) => beat(host)));
    expect(replica.inputs).toHaveLength(before);
    const [kept] = await replica.pool.run(
      (sql) => sql`SELECT count(*) AS n FROM presence WHERE hostname LIKE 'crowd-%'`,
    );
    expect(kept).toEqual({ n: 200 });
  });
});

describe('Replay-From', () => {
  it('says a gap once, also through another replica', async () => {
    await known('gap');
    await replica.pool.run(
      (sql) => sql`UPDATE host_rollout SET highest_refused_seq = 9 WHERE hostname = 'gap'`,
    );
    expect((await beat('gap')).replay).toBe('2');
    expect((await beat('gap')).replay).toBeUndefined();
    const other = await startReplica(url);
    expect((await beat('gap', {}, other)).replay).toBeUndefined();
    await other.stop();
  });

  it('is withheld, and not spent, while an input of the host is queued', async () => {
    await known('waiting', { highestRefusedSeq: 9 });
    await replica.pool.run((sql) => sql`UPDATE presence SET replay_said = NULL`);
    await replica.pool.run(
      (sql) => sql`
        INSERT INTO input_queue (kind, hostname, payload) VALUES ('AgentEvent', 'waiting', '{}')`,
    );
    expect((await beat('waiting')).replay).toBeUndefined();
    await replica.pool.run((sql) => sql`DELETE FROM input_queue`);
    expect((await beat('waiting')).replay).toBe('2');
  });
});

describe('a snapshot', () => {
  const restarted = async (host: string) => {
    await beat(host);
    return beat(host);
  };

  it('is handed to an agent that speaks twice within ten seconds', async () => {
    await known('twice', { highestRefusedSeq: 5 });
    const first = await beat('twice', { last_event_seq_by_rollout: {} });
    expect(first.snapshots).toBeUndefined();
    const second = await beat('twice');
    expect(second.snapshots).toEqual([
      {
        rolloutId: NEWER,
        hostname: 'twice',
        channel: 'stable',
        state: 'Activating',
        targetClosure: 'new',
        currentClosureAtDispatch: 'old',
        dispatchedAt: '2026-05-16T01:00:00.000Z',
        lastEventSeq: 5,
      },
    ]);
  });

  it('is handed to one that was unreachable, as its state is after the report', async () => {
    await known('lost');
    await putHost(replica.pool, 'lost', 'unreachable');
    replica.answerWith(async () => {
      await putHost(replica.pool, 'lost');
      await replica.pool.run(
        (sql) => sql`UPDATE host_rollout SET state = 'Soaking' WHERE hostname = 'lost'`,
      );
      return APPLIED;
    });
    expect((await beat('lost')).snapshots).toMatchObject([{ state: 'Soaking' }]);
    replica.answerWith(() => Promise.resolve(APPLIED));
  });

  it('is handed out where the control plane set the state by itself', async () => {
    await known('synthesised', { state: 'Soaking', synthesisedAt: '2026-05-16T02:00:00.000Z' });
    const { snapshots } = await beat('synthesised');
    expect(snapshots).toMatchObject([{ state: 'Soaking' }]);
  });

  it('is none of an older rollout, and none for an agent that names its rollout', async () => {
    await putHost(replica.pool, 'older');
    await putRecord(replica.pool, 'older', ROLLOUT);
    expect((await restarted('older')).snapshots).toBeUndefined();
    await known('names');
    await beat('names');
    expect((await beat('names', { rollout_id: NEWER })).snapshots).toBeUndefined();
  });

  it('waits for what is queued', async () => {
    await known('queued');
    await replica.pool.run(
      (sql) => sql`
        INSERT INTO input_queue (kind, hostname, payload) VALUES ('AgentEvent', 'queued', '{}')`,
    );
    expect((await restarted('queued')).snapshots).toBeUndefined();
    await replica.pool.run((sql) => sql`DELETE FROM input_queue`);
    expect((await beat('queued')).snapshots).toHaveLength(1);
  });

  it('waits for what is on its way through this process', async () => {
    await known('inside');
    let answer: () => void = () => undefined;
    replica.answerWith(
      () =>
        new Promise((resolve) => {
          answer = () => {
            resolve(APPLIED);
          };
        }),
    );
    const posting = postEvent('inside');
    const submitted = () =>
      replica.inputs.some((input) => 'event' in input && input.hostname === 'inside');
    while (!submitted()) await new Promise((resolve) => setImmediate(resolve));
    expect((await restarted('inside')).snapshots).toBeUndefined();
    answer();
    await posting;
    replica.answerWith(() => Promise.resolve(APPLIED));
    expect((await beat('inside')).snapshots).toHaveLength(1);
  });

  it('is none when an event was accepted while the rows were being read', async () => {
    await known('overtaken');
    await beat('overtaken');
    const held = replica.holdNext();
    const beating = beat('overtaken');
    await held.answered;
    expect((await postEvent('overtaken')).statusCode).toBe(204);
    held.release();
    expect((await beating).snapshots).toBeUndefined();
    expect((await beat('overtaken')).snapshots).toHaveLength(1);
  });

  it('is none when an event was accepted while it was noted that the host was heard', async () => {
    await known('noted');
    await beat('noted');
    const reading = replica.holdNext();
    const beating = beat('noted');
    await reading.answered;
    const noting = replica.holdNext();
    reading.release();
    await noting.answered;
    expect((await postEvent('noted')).statusCode).toBe(204);
    noting.release();
    expect((await beating).snapshots).toBeUndefined();
    expect((await beat('noted')).snapshots).toHaveLength(1);
  });

  it('is none when an event was missed, and that was stored, meanwhile', async () => {
    await known('missed-meanwhile');
    await beat('missed-meanwhile');
    const held = replica.holdNext();
    const beating = beat('missed-meanwhile');
    await held.answered;
    replica.answerWith(() => Promise.reject(new Error('a fault')));
    await postEvent('missed-meanwhile');
    replica.answerWith(() => Promise.resolve(APPLIED));
    while (!(await isMissed('missed-meanwhile'))) await new Promise((r) => setTimeout(r, 10));
    while (replica.busy() > 1) await new Promise((r) => setTimeout(r, 10));
    held.release();
    expect((await beating).snapshots).toBeUndefined();
  });

  it('is withheld for five minutes after an event was not taken, by every replica', async () => {
    const shedding = await startReplica(url);
    await known('missed');
    await beat('missed');
    expect((await beat('missed')).snapshots).toHaveLength(1);
    replica.answerWith(() => Promise.reject(new Error('a fault')));
    expect((await postEvent('missed')).statusCode).toBe(500);
    replica.answerWith(() => Promise.resolve(APPLIED));
    expect((await beat('missed')).snapshots).toBeUndefined();
    while (!(await isMissed('missed'))) await new Promise((resolve) => setTimeout(resolve, 10));
    expect((await beat('missed', {}, shedding)).snapshots).toBeUndefined();
    await agePresence(replica.pool, 'missed', 5 * 60);
    await beat('missed');
    expect((await beat('missed')).snapshots).toHaveLength(1);
    await shedding.stop();
  });

  it('is withheld for five minutes after what was missed at a time that has not come, and no longer', async () => {
    const later = await startReplica(url);
    await known('ahead');
    await beat('ahead');
    replica.answerWith(() => Promise.reject(new Error('a fault')));
    await postEvent('ahead');
    replica.answerWith(() => Promise.resolve(APPLIED));
    while (!(await isMissed('ahead'))) await new Promise((resolve) => setTimeout(resolve, 10));
    await agePresence(later.pool, 'ahead', -8 * 3_600);
    await beat('ahead', {}, later);
    expect((await beat('ahead', {}, later)).snapshots).toBeUndefined();
    await agePresence(later.pool, 'ahead', 5 * 60);
    await beat('ahead', {}, later);
    expect((await beat('ahead', {}, later)).snapshots).toHaveLength(1);
    await later.stop();
  });

  it('is for nobody who was last heard at a time that has not come: he may not have restarted', async () => {
    await known('heard-ahead');
    await agePresence(replica.pool, 'heard-ahead', -8 * 3_600);
    expect((await beat('heard-ahead')).snapshots).toBeUndefined();
    expect((await beat('heard-ahead')).snapshots).toHaveLength(1);
  });

  it('is not withheld because a heartbeat could not be read: only events count', async () => {
    await known('mumbles');
    await beat('mumbles');
    const refused = await replica.api.app.inject({
      method: 'POST',
      url: '/v1/agent/heartbeat',
      headers: { 'x-muster-dev-identity': 'agent:mumbles' },
      payload: { hostname: 'mumbles', at: 'yesterday' },
    });
    expect(refused.statusCode).toBe(400);
    expect((await beat('mumbles')).snapshots).toHaveLength(1);
  });

  it('is withheld from everyone after this replica shed anything', async () => {
    const shedding = await startReplica(url);
    await known('bystander');
    await beat('bystander', {}, shedding);
    expect((await beat('bystander', {}, shedding)).snapshots).toHaveLength(1);
    shedding.answerWith(() =>
      Promise.resolve({ status: 'unavailable', why: 'queue-full', retryAfterSecs: 1 }),
    );
    const refused = await shedding.api.app.inject({
      method: 'POST',
      url: '/v1/agent/events',
      headers: { 'x-muster-dev-identity': 'agent:another' },
      payload: {},
    });
    expect(refused.statusCode).toBe(503);
    expect((await beat('bystander', {}, shedding)).snapshots).toBeUndefined();
    await shedding.stop();
  });

  async function isMissed(host: string): Promise<boolean> {
    const [row] = await replica.pool.run(
      (sql) => sql`SELECT last_non2xx_at FROM presence WHERE hostname = ${host}`,
    );
    return row?.['last_non2xx_at'] !== null;
  }
});
