/** A heartbeat while presence cannot be stored: answered in time, with nothing that rests on what was not kept. */
import postgres from 'postgres';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { tryPresence } from '../../src/db/presence.ts';
import { createTestDatabase } from '../support/database.ts';
import { startReplica, type Replica } from './support/fakes.ts';
import { NEWER, putHost, putRecord, putRollout } from './support/rows.ts';

/** An agent hangs up after ten seconds; the database gives a statement up after five. */
const SOON_MS = 4_000;

let url: string;
let replica: Replica;
let dba: postgres.Sql;

beforeAll(async () => {
  ({ url } = await createTestDatabase());
  replica = await startReplica(url);
  dba = postgres(url, { max: 1, connection: { search_path: 'muster' } });
  await putRollout(replica.pool, NEWER, 1);
  await replica.api.app.ready();
});
afterAll(async () => {
  await dba.end();
  await replica.stop();
});
beforeEach(async () => {
  await replica.pool.run((sql) => sql`TRUNCATE host, host_rollout, presence`);
});

async function beat(host: string, fields: object = {}) {
  const since = performance.now();
  const response = await replica.api.app.inject({
    method: 'POST',
    url: '/v1/agent/heartbeat',
    headers: { 'x-muster-dev-identity': `agent:${host}` },
    payload: { hostname: host, at: '2026-05-16T01:27:01Z', current_closure: 'old', ...fields },
  });
  const { bootstrap_rollouts: snapshots } = response.json<{ bootstrap_rollouts?: object[] }>();
  return {
    status: response.statusCode,
    replay: response.headers['x-nixfleet-replay-from'],
    snapshots,
    ms: performance.now() - since,
  };
}

/** As CREATE INDEX holds it: everyone reads, nobody writes. */
async function locked(work: () => Promise<void>): Promise<void> {
  await dba.begin(async (sql) => {
    await sql`LOCK TABLE presence IN SHARE MODE`;
    await work();
  });
}

const missed = async (why: string): Promise<number> => {
  const { body } = await replica.api.app.inject({ url: '/metrics' });
  const found = new RegExp(`^muster_api_presence_missed_total\\{why="${why}"\\} (\\d+)$`, 'm');
  return Number(found.exec(body)?.[1] ?? 0);
};

describe('while somebody locks presence', () => {
  it('every heartbeat is answered in time, and counted', async () => {
    const hosts = ['a', 'b', 'c', 'd', 'e', 'f'];
    for (const host of hosts) await putHost(replica.pool, host);
    await locked(async () => {
      const first = beat('a');
      const rest = await Promise.all(hosts.slice(1).map((host) => beat(host)));
      for (const { status, ms } of [await first, ...rest]) {
        expect(status).toBe(200);
        expect(ms).toBeLessThan(SOON_MS);
      }
    });
    expect(await missed('late')).toBe(hosts.length);
    expect(replica.logged.join('\n')).toMatch(/answered although .* cannot be stored/);
  });

  it('a report still follows its commit', async () => {
    await putHost(replica.pool, 'back', 'unreachable');
    const before = replica.inputs.length;
    await locked(async () => {
      expect(await beat('back')).toMatchObject({ status: 200 });
    });
    expect(replica.inputs.slice(before)).toMatchObject([{ kind: 'HostReport', hostname: 'back' }]);
  });

  it('nothing is handed back that rests on what other replicas note with presence', async () => {
    await putHost(replica.pool, 'twice');
    await putRecord(replica.pool, 'twice', NEWER, { highestRefusedSeq: 5 });
    await beat('twice');
    await locked(async () => {
      expect((await beat('twice')).snapshots).toBeUndefined();
    });
    expect((await beat('twice')).snapshots).toHaveLength(1);
  });

  it('a gap is said, since the row that notes it may be stored late', async () => {
    await putHost(replica.pool, 'gap');
    await putRecord(replica.pool, 'gap', NEWER, { highestRefusedSeq: 9 });
    await locked(async () => {
      expect((await beat('gap')).replay).toBe('2');
    });
    await locked(() => Promise.resolve()); // behind the row that waited
    expect((await beat('gap')).replay).toBeUndefined();
  });
});

it('a table that refuses the row refuses no heartbeat', async () => {
  await putHost(replica.pool, 'a');
  await dba`ALTER TABLE presence RENAME COLUMN uptime_secs TO elsewhere`;
  const { status } = await beat('a');
  await dba`ALTER TABLE presence RENAME COLUMN elsewhere TO uptime_secs`;
  expect(status).toBe(200);
  expect(await missed('failed')).toBe(1);
});

describe('whether presence can be stored', () => {
  const asking = () => replica.pool.run((sql) => tryPresence(sql));

  it('is tried without a trace', async () => {
    await asking();
    expect(await dba`SELECT FROM presence`).toHaveLength(0);
  });

  it('is denied while somebody locks it', async () => {
    await locked(() => expect(asking()).rejects.toMatchObject({ code: '57014' }));
  });
});
