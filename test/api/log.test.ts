/** GET /v1/events and its stream, over a log that a real leader writes. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LOG_KINDS, type LogEvent, type LogPage } from '../../src/wire/log-event.ts';
import { createTestDatabase } from '../support/database.ts';
import { startReplica as startLeading, type Replica as Leading } from '../support/installation.ts';
import { declareFleet, heartbeat, journey, type SmallFleet } from '../support/small-fleet.ts';
import { startReplica, type Replica } from './support/fakes.ts';
import { openSse } from './support/sse.ts';

let url: string;
let leading: Leading;
let replica: Replica;
let base: string;
let fleet: SmallFleet;

beforeAll(async () => {
  ({ url } = await createTestDatabase());
  leading = startLeading(url, 'a');
  await leading.lead();
  fleet = await declareFleet(leading.pool, 3, 'abc2');
  await submit(fleet.input);
  for (const host of fleet.hosts.slice(0, 2)) await move(host);
  replica = await startReplica(url);
  base = await replica.api.listen('127.0.0.1', 0);
});
afterAll(async () => {
  await replica.stop();
  await leading.stop();
});

const submit = (input: Parameters<Leading['submitter']['submit']>[0]) =>
  leading.submitter.submit(input, { waitMs: 5_000 });

async function move(host: string): Promise<void> {
  for (const input of [heartbeat(host), ...journey(fleet, host)]) await submit(input);
}

async function get(query: string): Promise<{ status: number; body: LogPage }> {
  const response = await fetch(`${base}/v1/events?${query}`, {
    headers: { 'x-muster-dev-identity': 'operator:ada' },
  });
  return { status: response.status, body: (await response.json()) as LogPage };
}

async function all(query = ''): Promise<LogEvent[]> {
  const events: LogEvent[] = [];
  let cursor = '';
  for (;;) {
    const { body } = await get(`limit=4&${query}${cursor === '' ? '' : `&after=${cursor}`}`);
    events.push(...body.events);
    cursor = body.cursor;
    if (!body.more) return events;
  }
}

/** What is above all rows before this one. */
function cursorBelow(query: string): string {
  const [, incarnation = '', seq = ''] = /before=(.+):(\d+)$/.exec(query) ?? [];
  return `${incarnation}:${String(Number(seq) - 1)}`;
}

const stream = (query = '', headers = {}) => openSse(`${base}/v1/events/stream?${query}`, headers);

describe('GET /v1/events', () => {
  it('walks the whole log, gapless, by cursor', async () => {
    const events = await all();
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1));
    expect(events[0]).toMatchObject({ kind: 'leadership', payload: { v: 2 } });
    const ack = events.find((e) => e.kind === 'transition');
    expect(ack).toMatchObject({ host: fleet.hosts[0], rolloutId: fleet.rolloutId });
    expect(ack?.causedBy).toBeLessThan(ack?.seq ?? 0);
    expect(ack).not.toHaveProperty('actor');
  });

  it('takes a kind, a rollout, a host, and the newest', async () => {
    const events = await all();
    const [, host = ''] = fleet.hosts;
    expect(await all('kind=transition')).toEqual(events.filter((e) => e.kind === 'transition'));
    // More than one when a busy machine deposed the first.
    expect(await all('kind=leadership')).toEqual(events.filter((e) => e.kind === 'leadership'));
    const named = events.filter(({ payload }) => JSON.stringify(payload).includes(`"${host}"`));
    const about = await all(`host=${host}`);
    expect(about.filter((e) => e.host !== undefined)).toEqual(
      events.filter((e) => e.host === host),
    );
    // Decisions about several hosts are one row, which is none's own.
    const shared = named.filter((e) => e.host === undefined && e.kind === 'gate_decision');
    expect(shared.length).toBeGreaterThan(0);
    expect(about.filter((e) => e.host === undefined)).toEqual(expect.arrayContaining(shared));
    const mine = events.filter((e) => e.rolloutId === fleet.rolloutId);
    expect(await all(`rollout=${fleet.rolloutId}`)).toEqual(mine);
    const { body } = await get(`last=3&rollout=${fleet.rolloutId}`);
    expect(body.events).toEqual(mine.slice(-3));
    expect(body.more).toBe(false);
  });

  it('is walked back from its end, whatever is asked for', async () => {
    const [, host = ''] = fleet.hosts;
    for (const query of ['', `rollout=${fleet.rolloutId}`, `host=${host}`, 'kind=transition']) {
      const events = await all(query);
      const walked: typeof events = [];
      let before = '';
      do {
        const { body } = await get(`last=3${before}&${query}`);
        // What comes after such a page is what was there before it.
        if (before !== '') expect(body.cursor).toBe(cursorBelow(before));
        walked.unshift(...body.events);
        before = body.earlier === undefined ? '' : `&before=${body.earlier}`;
      } while (before !== '');
      expect([query, walked]).toEqual([query, events]);
    }
  });

  it('its cursor passes over what does not match', async () => {
    const head = (await all()).length;
    const { body } = await get('kind=leadership');
    expect(body.cursor).toMatch(new RegExp(`^[0-9a-f-]{36}:${String(head)}$`));
    expect((await get(`after=${body.cursor}`)).body).toEqual({
      events: [],
      cursor: body.cursor,
      more: false,
    });
  });

  it('refuses what it cannot mean', async () => {
    const status = async (query: string) => (await get(query)).status;
    expect(await status('after=7')).toBe(400);
    expect(await status('after=elsewhere:1')).toBe(409);
    const { body } = await get('limit=1');
    expect(await status(`after=${body.cursor.replace(/\d+$/, '999999')}`)).toBe(409);
    expect(await status('kind=gossip')).toBe(400);
    expect(await status('host=-')).toBe(400);
    expect(await status('rollout=x')).toBe(400);
    expect(await status('limit=0')).toBe(400);
    expect(await status('limit=1.5')).toBe(400);
    expect(await status('last=1&after=a:1')).toBe(400);
    expect(await status('before=a:1')).toBe(400);
    expect(await status('last=1&before=elsewhere:1')).toBe(409);
  });

  it('says what it would have understood', async () => {
    const said = async (query: string): Promise<unknown> => {
      const { detail } = (await get(query)).body as { detail?: unknown };
      return detail;
    };
    expect(await said('kind=bogus')).toBe(
      `kind in the query must be one of ${LOG_KINDS.join(', ')}; see /openapi.json`,
    );
    expect(await said('limit=0')).toBe(
      'limit in the query must be a whole number from 1 up (Rows of one page); see /openapi.json',
    );
    expect(await said('limit=many')).toBe(await said('limit=0'));
  });
});

describe('GET /v1/events/stream', () => {
  it('sends what is committed from now on, each row once, in order', async () => {
    const before = (await all()).length;
    const client = await stream();
    const filtered = await stream(`kind=transition`);
    const [, , host = ''] = fleet.hosts;
    const feeding = move(host);
    const waking = setInterval(() => {
      replica.wake();
    }, 5);
    await feeding;
    const events = (await all()).slice(before);
    const seen = await client.until(events.length);
    clearInterval(waking);
    expect(seen.map(({ data }) => data)).toEqual(events);
    expect(new Set(seen.map(({ event }) => event))).toEqual(new Set(['log']));
    const wanted = events.filter((e) => e.kind === 'transition');
    expect((await filtered.until(wanted.length)).map(({ data }) => data)).toEqual(wanted);
    client.close();
    filtered.close();
  });

  it('goes on after Last-Event-ID, or after a cursor in the query', async () => {
    const events = await all();
    const { body } = await get('limit=2');
    const client = await stream('', { 'last-event-id': body.cursor });
    expect((await client.until(events.length - 2)).map(({ data }) => data)).toEqual(
      events.slice(2),
    );
    client.close();
    const again = await stream(`after=${client.messages[0]?.id ?? ''}`);
    expect((await again.until(events.length - 3))[0]?.data).toEqual(events[3]);
    again.close();
  });

  it('tells of another incarnation, and goes on', async () => {
    const events = await all();
    const client = await stream('', { 'last-event-id': `before:${String(events.length - 1)}` });
    const [told, next] = await client.until(2);
    expect(told).toMatchObject({ event: 'incarnation', data: { was: 'before' } });
    expect(next?.data).toEqual(events.at(-1));
    client.close();
    const ahead = await stream('', { 'last-event-id': 'before:999999' });
    const [only] = await ahead.until(1);
    expect(only).toMatchObject({ event: 'incarnation', data: { head: events.length } });
    expect(only?.id).toMatch(new RegExp(`:${String(events.length)}$`));
    ahead.close();
  });

  it('goes on at another replica and under another leader, where it broke off', async () => {
    const client = await stream('', { 'last-event-id': (await get('limit=3')).body.cursor });
    const first = [...(await client.until(4))];
    client.close();
    await leading.resign();
    await leading.lead();
    await move(fleet.hosts[0] ?? '');
    const other = await startReplica(url);
    const there = await other.api.listen('127.0.0.1', 0);
    const again = await openSse(`${there}/v1/events/stream`, { 'last-event-id': client.lastId() });
    const events = (await all()).slice(3);
    const seen = [...first, ...(await again.until(events.length - first.length))];
    expect(seen.map(({ data }) => data)).toEqual(events);
    expect(new Set(events.map(({ epoch }) => epoch)).size).toBeGreaterThan(1);
    again.close();
    await other.stop();
  });

  it('refuses more streams than it may hold, and junk', async () => {
    expect((await stream('after=7')).status).toBe(400);
    const small = await startReplica(url, { maxEventStreams: 1 });
    const there = await small.api.listen('127.0.0.1', 0);
    const one = await openSse(`${there}/v1/events/stream`);
    const two = await openSse(`${there}/v1/events/stream`);
    expect([one.status, two.status]).toEqual([200, 503]);
    await small.stop();
    await one.ended;
  });
});
