/** Revoked certificates, over connections that were open before: each request is judged by the list of now. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Revocations } from '../../src/api/identity/revocations.ts';
import { storeArtifacts, type StoredRevocations } from '../../src/db/artifacts.ts';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { silentLogger } from '../support/installation.ts';
import { fakeClock } from './support/fakes.ts';
import { makePki, startTlsReplica, SUFFIX, type Pki, type TlsReplica } from './support/tls.ts';

const POLL = '/v1/agent/dispatch?wait=0';
const REVOKED = { status: 401, code: 'unauthenticated' };

let pki: Pki;
let replica: TlsReplica;
let signings = 0;

beforeAll(async () => {
  const { url } = await createTestDatabase();
  pki = await makePki();
  replica = await startTlsReplica(url, pki);
});
afterAll(() => replica.stop());

const hour = (hours: number) => new Date(Date.now() + hours * 3_600_000);

/** As the worker does that verified the list; then a commit that may have brought it. */
async function revoke(
  ...entries: readonly { hostname: string; notBefore: string }[]
): Promise<void> {
  await store({ schemaVersion: 1, revocations: entries, meta: {} });
}

async function store(content: unknown): Promise<void> {
  signings += 1;
  const signedAt = new Date(signings * 1_000).toISOString();
  const bytes = Buffer.from(JSON.stringify(content));
  const artifact = { kind: 'revocations', name: 'revocations', hash: `hash-${signings}` } as const;
  const stored = { ...artifact, bytes, signature: bytes, content: bytes.toString(), signedAt };
  expect(await storeArtifacts(replica.pool, [stored], signedAt)).toBe(true);
  replica.wake();
}

const agent = (hostname: string, notBefore: Date) =>
  pki.fleet.issue({ cn: `${hostname}${SUFFIX}`, notBefore });

describe('a revocation', () => {
  it('ends what was issued before it: on an open connection, a resumed session and a parked poll', async () => {
    const pair = await agent('web-01', hour(-2));
    const open = replica.client(pair);
    const parked = replica.client(pair);
    const other = replica.client(await agent('web-02', hour(-2)));
    const otherParked = replica.client(await agent('web-02', hour(-2)));
    expect(await open.ask(POLL)).toMatchObject({ status: 204 });
    expect(await other.ask(POLL)).toMatchObject({ status: 204 });
    let otherEnded = false;
    const waits = parked.ask('/v1/agent/dispatch?wait=60');
    const otherWaits = otherParked
      .ask('/v1/agent/dispatch?wait=60')
      .then(() => (otherEnded = true));
    otherWaits.catch(() => undefined);
    await eventually(async () => (await other.ask('/metrics')).body).toMatch(
      /^muster_api_parked_polls 2$/m,
    );

    await revoke({ hostname: 'web-01', notBefore: hour(-1).toISOString() });

    // Parked for a minute, and answered now.
    const answer = await waits;
    expect(answer).toMatchObject(REVOKED);
    expect(answer.headers['connection']).toBe('close');
    const refused = await open.ask(POLL);
    expect(refused).toMatchObject({ ...REVOKED, reused: true });
    expect(refused.detail).toContain('web-01 was issued before');
    const resumed = await open.ask(POLL);
    expect(resumed).toMatchObject({ ...REVOKED, reused: false, resumed: true });
    expect(await other.ask(POLL)).toMatchObject({ status: 204, reused: true });
    expect(otherEnded).toBe(false);
  });

  it('does not touch what was issued after it, nor operators', async () => {
    const web = replica.client(await agent('web-01', hour(-0.5)));
    expect(await web.ask(POLL)).toMatchObject({ status: 204 });
    const operator = replica.client(await pki.operator('web-01'));
    expect(await operator.ask('/v1/whoami')).toMatchObject({ status: 200 });
  });

  it('of a host that is listed twice is the later one', async () => {
    await revoke(
      { hostname: 'db-01', notBefore: hour(-1).toISOString() },
      { hostname: 'db-01', notBefore: hour(-3).toISOString() },
    );
    const db = replica.client(await agent('db-01', hour(-2)));
    await eventually(() => db.ask(POLL)).toMatchObject(REVOKED);
  });

  it('stays in force while the list cannot be understood or read', async () => {
    await store({ schemaVersion: 1, revocations: 'none' });
    const db = replica.client(await agent('db-01', hour(-2)));
    await eventually(() => replica.logged.join('\n')).toContain('revocations cannot be read');
    expect(await db.ask(POLL)).toMatchObject(REVOKED);
  });

  it('is taken back by a list without it', async () => {
    await revoke();
    const db = replica.client(await agent('db-01', hour(-2)));
    await eventually(() => db.ask(POLL)).toMatchObject({ status: 204 });
  });
});

describe('before the list was read', () => {
  it('nobody knows who is revoked, and no agent is served', async () => {
    const clock = fakeClock();
    const answers: (() => Promise<StoredRevocations | null>)[] = [
      () => Promise.reject(new Error('the database is away')),
      () => Promise.resolve(null),
    ];
    const asked: (string | null)[] = [];
    const revocations = new Revocations({
      ...{ clock, log: silentLogger(), wake: { subscribe: () => () => undefined } },
      needsRevocations: false,
      read: (known) => {
        asked.push(known);
        return answers.shift()?.() ?? Promise.resolve(null);
      },
    });
    const refusing = () => revocations.refusing('web-01', 0);
    expect(refusing).toThrow(/revocations-unread/);
    revocations.start();
    clock.advance(0);
    await eventually(() => asked.length).toBe(1);
    expect(refusing).toThrow(/revocations-unread/);
    await eventually(() => {
      clock.advance(5_000);
      return asked.length;
    }).toBeGreaterThan(1);
    await eventually(() => attempt(refusing)).toBe('undefined');
    revocations.stop();
  });
});

describe('strict mode, where no list was ever verified', () => {
  it('serves no agent, and is not ready, until there is one', async () => {
    const clock = fakeClock();
    let stored: StoredRevocations | null = null;
    let asked = 0;
    const revocations = new Revocations({
      ...{ clock, log: silentLogger(), wake: { subscribe: () => () => undefined } },
      needsRevocations: true,
      read: () => {
        asked += 1;
        return Promise.resolve(stored);
      },
    });
    const refusing = () => revocations.refusing('web-01', 0);
    const isReady = async () =>
      (await revocations.readiness(() => Promise.resolve({ ready: true, reasons: [] }))).ready;
    const look = eventually(() => {
      clock.advance(5_000);
      return asked;
    });
    revocations.start();
    await look.toBeGreaterThan(3);
    expect(refusing).toThrow(/revocations-unread/);
    expect(await isReady()).toBe(false);
    stored = { hash: 'h', content: { v: 1, revocations: [] } };
    await eventually(() => {
      clock.advance(5_000);
      return attempt(refusing);
    }).toBe('undefined');
    expect(await isReady()).toBe(true);
    revocations.stop();
  });
});

function attempt(work: () => unknown): string {
  try {
    return String(work());
  } catch (error) {
    return String(error);
  }
}
