/** What an agent wrote, in a sentence of ours. */
import { expect, it } from 'vitest';
import { overdue } from '../../src/reducer/read/overdue.ts';
import { plain, quote } from '../../src/reducer/read/quote.ts';
import { Script } from './support/script.ts';

it('is quoted as far as a person reads, and no character is cut in two', () => {
  expect(quote('x'.repeat(300))).toBe('x'.repeat(300));
  expect(quote('x'.repeat(200_000))).toBe(`${'x'.repeat(300)}…`);
  expect(quote('😀'.repeat(300))).toBe('😀'.repeat(300));
  expect(quote(`x${'😀'.repeat(300)}`)).toBe(`x${'😀'.repeat(299)}…`);
});

it('turns nothing around that stands after it', () => {
  expect(plain('a\u202eb\u2066c\u200fd')).toBe('a\ufffdb\ufffdc\ufffdd');
});

it('leaves what holds a host a sentence, however much its probes say, and however many fail', () => {
  const script = new Script();
  for (const line of [
    ...['channel a', 'wave a soak=5 a1', 'heartbeat * c0', 'declare 1'],
    ...['event a1 ack', 'event a1 completed', 'event a1 probe http fail'],
  ])
    script.run(line);
  const rollout = script.state.live.get('a@1');
  const record = rollout?.records.get('a1');
  const http = record?.probes['http'];
  if (rollout === undefined || record === undefined || http === undefined)
    throw new Error('it soaks, and its probe fails');
  const probes = Object.fromEntries(
    Array.from({ length: 9 }, (_, i) => [
      `p${String(i)}`,
      { ...http, failureReason: 'z'.repeat(9_000) },
    ]),
  );
  const { because } = overdue(rollout, { ...record, probes });
  expect(because.length).toBeLessThan(5 * 400);
  expect(because).toMatch(/^its soak is over, and its enforced probe p0 fails/);
  expect(because).toMatch(/z…\); and so do 4 more$/);
});
