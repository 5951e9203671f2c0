/** What waits for an answer that may be long on its way, and does not wait for ever. */
import { once } from 'node:events';
import net from 'node:net';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { DeadlineError, within } from '../../src/db/deadline.ts';

beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
afterEach(() => vi.useRealTimers());

const never = new Promise<never>(() => undefined);

it('is over when its time is, and says so', async () => {
  const onLate = vi.fn();
  const late = expect(within(never, 1_000, onLate)).rejects.toThrow(DeadlineError);
  await vi.advanceTimersByTimeAsync(999);
  expect(onLate).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1);
  await late;
  expect(onLate).toHaveBeenCalledOnce();
});

it('is over later when more was sent meanwhile, and only then', async () => {
  const onLate = vi.fn();
  let ms = 1_000;
  const late = expect(within(never, () => ms, onLate)).rejects.toThrow('within 3000 ms');
  await vi.advanceTimersByTimeAsync(500);
  ms = 3_000;
  await vi.advanceTimersByTimeAsync(2_499);
  expect(onLate).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1);
  await late;
  expect(onLate).toHaveBeenCalledOnce();
});

it('leaves no timer behind an answer', async () => {
  expect(await within(Promise.resolve('here'), 1_000, () => undefined)).toBe('here');
  expect(vi.getTimerCount()).toBe(0);
});

/** A server that this process does not hold up. */
async function echo(): Promise<{ port: number; stop: () => Promise<unknown> }> {
  const text = `const { parentPort } = require('node:worker_threads');
    const server = require('node:net').createServer((socket) => socket.pipe(socket));
    server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));`;
  const worker = new Worker(text, { eval: true });
  const [port] = (await once(worker, 'message')) as [number];
  return { port, stop: () => worker.terminate() };
}

it('hears an answer that came while this process stood still, late as it is', async () => {
  vi.useRealTimers();
  const { port, stop } = await echo();
  const client = net.connect(port, '127.0.0.1');
  await once(client, 'connect');
  const onLate = vi.fn();
  const heard = within(once(client, 'data'), 50, onLate);
  client.write('?');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
  await heard;
  expect(onLate).not.toHaveBeenCalled();
  client.destroy();
  await stop();
});
