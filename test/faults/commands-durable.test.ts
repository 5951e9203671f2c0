/** What is answered while commits on the primary do not reach the synchronous standby. */
import postgres from 'postgres';
import { afterEach, expect, it } from 'vitest';
import type { KeyedRequest } from '../../src/queue/keyed.ts';
import { eventually } from '../support/eventually.ts';
import { heartbeat, PAUSE } from '../support/small-fleet.ts';
import { SCHEMA } from './suite/bench/database.ts';
import { startPair } from './support/pair.ts';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

function pause(key: string): KeyedRequest {
  return { key, input: PAUSE, secret: null };
}

const AWAY = { status: 'unavailable', why: 'database-away' };

it('a command whose commit was not confirmed is not taken for stored when it is repeated', async () => {
  const { standby, replica, hold, release } = await startPair(undo);
  const send = (waitMs: number) => replica.submitter.submitKeyed(pause('k1'), { waitMs });
  hold();
  expect(await send(0)).toMatchObject(AWAY);
  // There it is, in the primary's tables and nowhere else.
  expect(await send(0)).toMatchObject(AWAY);
  await release();
  await eventually(() => send(0)).toEqual({ status: 'queued', repeated: true });
  const there = postgres(standby.server.url, { max: 1, connection: { search_path: SCHEMA } });
  undo.push(() => there.end());
  await eventually(() => there`SELECT key FROM operator_key`).toEqual([{ key: 'k1' }]);
});

it('a verdict whose commit was not confirmed is not told', async () => {
  const { primary, replica, hold, release } = await startPair(undo);
  const sent = replica.submitter.submitKeyed(pause('k2'), { waitMs: 15_000 });
  await eventually(() => primary.sql`SELECT key FROM operator_key`).toHaveLength(1);
  hold();
  await replica.lead();
  expect(await sent).toMatchObject(AWAY);
  expect(await primary.sql`SELECT FROM verdict`).toHaveLength(1);
  await release();
  await eventually(() => replica.submitter.submitKeyed(pause('k2'), { waitMs: 0 })).toMatchObject({
    status: 'judged',
    repeated: true,
  });
});

it('the warning is heard of a login whose settings keep warnings from it', async () => {
  const { primary, replica, hold } = await startPair(undo);
  // Before the submitter connects, which it does when it first stores something.
  await primary.sql`ALTER ROLE CURRENT_USER SET client_min_messages = 'error'`;
  hold();
  expect(await replica.submitter.submit(heartbeat('h1'), { waitMs: 0 })).toMatchObject(AWAY);
  expect(await replica.submitter.submitKeyed(pause('k3'), { waitMs: 0 })).toMatchObject(AWAY);
});
