/** Who of a wave fell silent last, against looking at everybody; and that a fleet that comes back costs no look at the rest. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Absences } from '../../src/reducer/state/absences.ts';
import { timeOf, type Time } from '../../src/reducer/time.ts';

/** Hosts that are absent, and since when. */
class Wave {
  readonly since = new Map<string, Time>();
  readonly absences = new Absences();
  looks = 0;

  readonly sinceOf = (hostname: string): Time | null => {
    this.looks += 1;
    return this.since.get(hostname) ?? null;
  };

  lose(hostname: string, at: Time): void {
    this.since.set(hostname, at);
    this.absences.add(hostname, this.since.size, this.sinceOf);
  }

  get last(): Time | null {
    return this.absences.last(this.sinceOf);
  }
}

test('the last is who fell silent last of those that are still absent', () => {
  const step = fc.record({ host: fc.nat({ max: 11 }), at: fc.nat({ max: 9 }), ask: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const wave = new Wave();
      for (const { host, at, ask } of steps) {
        const hostname = `web-${String(host)}`;
        if (wave.since.has(hostname)) wave.since.delete(hostname);
        else wave.lose(hostname, timeOf(at));
        const expected = [...wave.since.values()].sort().at(-1) ?? null;
        if (ask) expect(wave.last).toBe(expected);
      }
    }),
  );
});

test.each(['first', 'last'])(
  'a fleet that comes back, the %s to go first, is looked at once',
  (end) => {
    const wave = new Wave();
    const hosts = Array.from({ length: 10_000 }, (_, i) => `web-${String(i)}`);
    for (const [i, hostname] of hosts.entries()) wave.lose(hostname, timeOf(i));
    wave.looks = 0;
    for (const hostname of end === 'first' ? hosts : hosts.reverse()) {
      wave.since.delete(hostname);
      expect(wave.last === null).toBe(wave.since.size === 0);
    }
    expect(wave.looks).toBeLessThan(3 * hosts.length);
  },
);

test('hosts that go and come, while nobody asks, leave no more behind than are absent', () => {
  const wave = new Wave();
  for (let i = 0; i < 50; i += 1) wave.lose(`web-${String(i)}`, timeOf(i));
  for (let turn = 0; turn < 10_000; turn += 1) {
    wave.since.delete('web-7');
    wave.lose('web-7', timeOf(100 + turn));
  }
  wave.looks = 0;
  wave.since.clear();
  expect(wave.last).toBeNull();
  expect(wave.looks).toBeLessThan(300);
});
