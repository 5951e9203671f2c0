/** A log whose rows are large, as those of large fleets are: in brief unless whole ones are asked for, and in pages. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { inBrief } from '../../src/eventlog/large-rows.ts';
import type { LogEvent, LogPage } from '../../src/wire/log-event.ts';
import type { CommandAnswer } from '../../src/wire/command.ts';
import type { RolloutEvents } from '../../src/wire/operator.ts';
import { createTestDatabase } from '../support/database.ts';
import { startReplica as startLeading, type Replica as Leading } from '../support/installation.ts';
import { declareFleet, heartbeat, type SmallFleet } from '../support/small-fleet.ts';
import { startReplica, type Replica } from './support/fakes.ts';
import { openSse } from './support/sse.ts';

const HOSTS = 9_000;
/** What a page holds, and what of it is no payload. */
const PAGE_BYTES = 1_100_000;

let leading: Leading;
let replica: Replica;
let base: string;
let fleet: SmallFleet;

beforeAll(async () => {
  const { url } = await createTestDatabase();
  leading = startLeading(url, 'a');
  await leading.lead();
  fleet = await declareFleet(leading.pool, HOSTS, 'abc2');
  await leading.submitter.submit(fleet.input, { waitMs: 60_000 });
  await leading.submitter.submit(heartbeat(fleet.hosts[0] ?? ''), { waitMs: 60_000 });
  await leading.resign();
  replica = await startReplica(url);
  base = await replica.api.listen('127.0.0.1', 0);
}, 120_000);
afterAll(async () => {
  await replica.stop();
  await leading.stop();
});

const headers = { 'x-muster-dev-identity': 'operator:ada' };

interface Got<T> {
  readonly body: T;
  readonly bytes: number;
}

async function get<T>(route: string): Promise<Got<T>> {
  const response = await fetch(`${base}${route}`, { headers });
  const text = await response.text();
  expect([route, response.status]).toEqual([route, 200]);
  return { body: JSON.parse(text) as T, bytes: text.length };
}

async function walk(query: string): Promise<{ events: LogEvent[]; pages: number[] }> {
  const events: LogEvent[] = [];
  const pages: number[] = [];
  for (let after = ''; ;) {
    const { body, bytes } = await get<LogPage>(`/v1/events?${query}${after}`);
    events.push(...body.events);
    pages.push(bytes);
    if (!body.more) return { events, pages };
    after = `&after=${body.cursor}`;
  }
}

/** As if as many rollouts had opened. Nobody folds this log any more. */
async function openAgain(times: number): Promise<void> {
  await leading.pool.run(
    (sql) => sql`
      INSERT INTO event_log (seq, ts, epoch, kind, rollout_id, channel, payload, hash)
      SELECT (SELECT max(seq) FROM event_log) + n, ts, epoch, kind, rollout_id, channel, payload, hash
      FROM event_log, generate_series(1, ${times}) n WHERE payload->>'event' = 'RolloutOpened'`,
  );
}

const factsOf = ({ payload }: LogEvent) => payload as Readonly<Record<string, unknown>>;
const opening = (events: readonly LogEvent[]) =>
  events.find((event) => factsOf(event)['event'] === 'RolloutOpened');

it('are in brief in what a dry run would write', async () => {
  const response = await fetch(`${base}/v1/channels/stable/pause?dryRun=true`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ reason: 'what if' }),
  });
  const text = await response.text();
  expect([response.status, text.length < 64 * 1_024]).toEqual([200, true]);
  const { rows = [] } = JSON.parse(text) as CommandAnswer;
  expect(rows).toContainEqual(
    expect.objectContaining({
      kind: 'gate_decision',
      omitted: { hosts: expect.objectContaining({ items: HOSTS - 1 }) as unknown },
    }),
  );
});

it('are in brief: facts stay, lists of hosts are left out and named', async () => {
  const { events, pages } = await walk('');
  expect(pages).toHaveLength(1);
  expect(pages[0]).toBeLessThan(64 * 1_024);
  const opened = opening(events);
  expect(opened?.payload).toEqual({ v: 2, event: 'RolloutOpened', hosts: HOSTS, waves: 1 });
  expect(opened?.omitted?.['changes']?.bytes).toBeGreaterThan(256 * 1_024);
  const held = events.find((event) => event.omitted?.['hosts'] !== undefined);
  expect(held).toMatchObject({ kind: 'gate_decision', omitted: { hosts: { items: HOSTS } } });
  expect(factsOf(held ?? ({} as LogEvent))).toMatchObject({ gates: ['host-unreachable'] });
});

it('are whole when asked for, in pages that end before they are large', async () => {
  await openAgain(5);
  const whole = await walk('whole=true');
  const brief = await walk('');
  expect(whole.pages.length).toBeGreaterThan(1);
  expect(whole.events.map(({ seq }) => seq)).toEqual(brief.events.map(({ seq }) => seq));
  expect(whole.events.every(({ omitted }) => omitted === undefined)).toBe(true);
  // One rule, twice.
  expect(
    whole.events.map((event) => {
      const { payload, omitted } = inBrief(event.payload);
      return { ...event, payload, ...(omitted === null ? {} : { omitted }) };
    }),
  ).toEqual(brief.events);
  const largest = Math.max(...whole.events.map((event) => JSON.stringify(event).length));
  for (const bytes of whole.pages) expect(bytes).toBeLessThan(PAGE_BYTES + largest);
});

it('end the newest page, too: its rows are the newest', async () => {
  const { events } = await walk('');
  const { body } = await get<LogPage>('/v1/events?last=1000&whole=true');
  const seqs = body.events.map(({ seq }) => seq);
  expect(seqs).toEqual(events.slice(-seqs.length).map(({ seq }) => seq));
  expect(seqs.length).toBeLessThan(events.length);
  expect((await get<LogPage>('/v1/events?last=1000')).body.events).toEqual(events);
});

it('are so of a rollout and of a host', async () => {
  const route = `/v1/rollouts/${fleet.rolloutId}/events`;
  const { body, bytes } = await get<RolloutEvents>(route);
  expect(bytes).toBeLessThan(64 * 1_024);
  expect(body.events[0]).toMatchObject({ payload: { hosts: HOSTS }, omitted: { changes: {} } });
  expect(body).not.toHaveProperty('nextCursor');
  const { body: first } = await get<RolloutEvents>(`${route}?whole=true`);
  expect(first.events[0]).not.toHaveProperty('omitted');
  expect(first).toHaveProperty('nextCursor');
  const about = await get<LogPage>(`/v1/events?host=${fleet.hosts[1] ?? ''}&last=50`);
  expect(about.bytes).toBeLessThan(64 * 1_024);
  expect(about.body.events).toContainEqual(
    expect.objectContaining({ kind: 'gate_decision', omitted: expect.anything() as unknown }),
  );
});

it('come the same by the stream, which finds hosts in what it leaves out', async () => {
  const brief = (await walk('')).events;
  const whole = (await walk('whole=true')).events;
  const { body } = await get<LogPage>('/v1/events?limit=1');
  const read = async (query: string, rows: number): Promise<unknown[]> => {
    const client = await openSse(`${base}/v1/events/stream?after=${body.cursor}${query}`);
    const seen = await client.until(rows);
    client.close();
    return seen.map(({ data }) => data);
  };
  const rest = brief.length - 1;
  expect(await read('', rest)).toEqual(brief.slice(1));
  expect(await read('&whole=true', rest)).toEqual(whole.slice(1));
  const { body: about } = await get<LogPage>(`/v1/events?host=${fleet.hosts[1] ?? ''}`);
  expect(await read(`&host=${fleet.hosts[1] ?? ''}`, about.events.length)).toEqual(about.events);
});
