/** Order, retries and refusals of the outbox. */
import { afterEach, expect, test } from 'vitest';
import type { HostEvent } from '../../src/reducer/host/events.ts';
import { TestHost } from './support/host.ts';

let host = new TestHost();
afterEach(async () => {
  await host.stop();
  host = new TestHost();
});

test('an event that is not accepted is sent again, the same, and nothing overtakes it', async () => {
  let left = 3;
  host.controlPlane.answer = (event) =>
    event.kind === 'ActivationStarted' && left-- > 0
      ? { kind: 'trouble', reason: 'HTTP 503', retryAfterMs: null }
      : { kind: 'accepted' };
  await host.start();
  await host.dispatch(300_000);
  await host.clock.advance(60_000);
  expect(host.controlPlane.story).toEqual([
    ...['DispatchAck 1', 'ActivationStarted 2', 'ActivationStarted 2', 'ActivationStarted 2'],
    ...['ActivationStarted 2', 'ActivationCompleted 3', 'ProbeTopologyDeclared 4'],
    ...['ProbeObservedFirst 5', 'ProbeResult 6'],
  ]);
  const sent = host.controlPlane.posts.filter(({ event }) => event.seq === 2);
  expect(new Set(sent.map(({ event }) => JSON.stringify(event))).size).toBe(1);
});

test('Retry-After is heeded', async () => {
  const at: number[] = [];
  host.controlPlane.answer = (event: HostEvent) => {
    if (event.kind === 'DispatchAck') at.push(host.clock.now());
    return at.length < 2
      ? { kind: 'trouble', reason: 'HTTP 503', retryAfterMs: 20_000 }
      : { kind: 'accepted' };
  };
  await host.start();
  await host.dispatch(300_000);
  await host.clock.advance(60_000);
  const [first = 0, second = 0] = at;
  expect(second - first).toBeGreaterThanOrEqual(20_000);
});

test('retries back off to 15 s and no further', async () => {
  const at: number[] = [];
  host.controlPlane.answer = () => {
    at.push(host.clock.now());
    return { kind: 'trouble', reason: 'ECONNREFUSED', retryAfterMs: null };
  };
  await host.start();
  await host.dispatch(300_000);
  await host.clock.advance(300_000);
  const gaps = at.slice(1).map((time, i) => time - (at[i] ?? 0));
  expect(gaps[0]).toBeLessThanOrEqual(500);
  expect(Math.max(...gaps)).toBeLessThanOrEqual(15_000);
  expect(Math.min(...gaps.slice(-5))).toBeGreaterThanOrEqual(7_500);
});

test('an event refused for good is dropped, aloud, and the next one goes out', async () => {
  host.controlPlane.answer = (event) =>
    event.kind === 'ActivationStarted'
      ? { kind: 'refused', status: 409, code: 'illegal-transition', detail: 'no' }
      : { kind: 'accepted' };
  await host.start();
  await host.dispatch(300_000);
  await host.clock.advance(10_000);
  expect(host.controlPlane.story.slice(0, 3)).toEqual([
    ...['DispatchAck 1', 'ActivationStarted 2', 'ActivationCompleted 3'],
  ]);
  expect(host.warnings).toEqual(['the control plane refused an event for good; dropped']);
});

test('what was not delivered is delivered by the next life of the agent', async () => {
  host.controlPlane.answer = () => ({ kind: 'trouble', reason: 'away', retryAfterMs: null });
  await host.start();
  await host.dispatch(300_000);
  await host.clock.advance(10_000);
  await host.stop();
  host.controlPlane.posts.splice(0);
  host.controlPlane.answer = () => ({ kind: 'accepted' });
  await host.start();
  await host.clock.advance(1_000);
  expect(host.controlPlane.story.slice(0, 3)).toEqual([
    ...['DispatchAck 1', 'ActivationStarted 2', 'ActivationCompleted 3'],
  ]);
});
