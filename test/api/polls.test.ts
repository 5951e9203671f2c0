/** Parked polls, with a clock of their own: who is woken, who is ended, and when. */
import { describe, expect, it } from 'vitest';
import { Polls, type Poll } from '../../src/api/polls.ts';
import { Refusal } from '../../src/api/refusal.ts';
import type { OfferRow } from '../../src/db/offers.ts';
import { createMetrics } from '../../src/telemetry.ts';
import { silentLogger } from '../support/installation.ts';
import { fakeClock } from './support/fakes.ts';

const row = (offered: boolean, due_ms = 0): OfferRow => ({
  hostname: 'web-01',
  rollout_id: 'stable@a1',
  target_closure: 'new',
  soak_due_at: '2026-05-16T01:27:01.000Z',
  enqueued_at: '2026-05-16T01:27:01.000Z',
  offered,
  due_ms,
});

function scene(maxParked = 10) {
  const clock = fakeClock();
  let next: OfferRow | null | Error = null;
  let asked = 0;
  const polls = new Polls({
    clock,
    log: silentLogger(),
    metrics: createMetrics(),
    random: () => 0,
    maxParked,
    offer: () => {
      asked += 1;
      return next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
    },
  });
  return {
    clock,
    polls,
    asked: () => asked,
    offerNext: (answer: OfferRow | null | Error) => {
      next = answer;
    },
  };
}

/** Lets everything that is due in this turn happen. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

async function outcome(poll: Poll): Promise<OfferRow | null | 'parked'> {
  await settled();
  return poll.ended ? poll.answer : 'parked';
}

describe('a poll', () => {
  it('is answered at once when something is in force', async () => {
    const { polls, offerNext } = scene();
    offerNext(row(true));
    expect(await outcome(await polls.start('web-01', 60_000))).toEqual(row(true));
    expect(polls.parked).toBe(0);
  });

  it('waits as long as it asked for, and not at all when it asked for nothing', async () => {
    const { clock, polls } = scene();
    expect(await outcome(await polls.start('web-01', 0))).toBeNull();
    const poll = await polls.start('web-01', 60_000);
    clock.advance(59_999);
    expect(await outcome(poll)).toBe('parked');
    clock.advance(1);
    expect(await outcome(poll)).toBeNull();
    expect(polls.parked).toBe(0);
  });

  it('is woken for its own host only', async () => {
    const { polls, offerNext, asked } = scene();
    const poll = await polls.start('web-01', 60_000);
    offerNext(row(true));
    polls.wake(['web-02']);
    expect(await outcome(poll)).toBe('parked');
    expect(asked()).toBe(1);
    polls.wake(['web-01']);
    expect(await outcome(poll)).toEqual(row(true));
  });

  it('asks again when what was offered lately falls due', async () => {
    const { clock, polls, offerNext } = scene();
    offerNext(row(false, 20_000));
    const poll = await polls.start('web-01', 60_000);
    offerNext(row(true));
    clock.advance(19_999);
    expect(await outcome(poll)).toBe('parked');
    clock.advance(1);
    expect(await outcome(poll)).toEqual(row(true));
  });

  it('never asks in a tight loop for a row that the leader holds', async () => {
    const { clock, polls, offerNext, asked } = scene();
    offerNext(row(false, 0));
    await polls.start('web-01', 60_000);
    for (let second = 0; second < 10; second += 1) {
      clock.advance(1_000);
      await settled();
    }
    expect(asked()).toBe(11);
  });

  it('plans one retry, however often it is woken', async () => {
    const { clock, polls, offerNext, asked } = scene();
    offerNext(row(false, 20_000));
    await polls.start('web-01', 60_000);
    for (let hint = 0; hint < 5; hint += 1) {
      polls.wake(['web-01']);
      await settled();
    }
    const before = asked();
    clock.advance(20_000);
    await settled();
    expect(asked()).toBe(before + 1);
  });

  it('tells its first failure, and survives later ones', async () => {
    const { polls, offerNext } = scene();
    offerNext(new Error('away'));
    await expect(polls.start('web-01', 60_000)).rejects.toThrow('away');
    expect(polls.parked).toBe(0);
    offerNext(null);
    const poll = await polls.start('web-01', 60_000);
    offerNext(new Error('away'));
    polls.wake(['web-01']);
    expect(await outcome(poll)).toBe('parked');
    offerNext(row(true));
    polls.wake(['web-01']);
    expect(await outcome(poll)).toEqual(row(true));
  });
});

describe('a newer poll of a host', () => {
  it('ends one that is a second old at once', async () => {
    const { clock, polls } = scene();
    const older = await polls.start('web-01', 60_000);
    clock.advance(1_000);
    const newer = await polls.start('web-01', 60_000);
    expect([await outcome(older), await outcome(newer)]).toEqual([null, 'parked']);
  });

  it('lets a younger one live for its second, and takes the offers from then on', async () => {
    const { clock, polls, offerNext } = scene();
    const older = await polls.start('web-01', 60_000);
    clock.advance(400);
    const newer = await polls.start('web-01', 60_000);
    clock.advance(599);
    expect(await outcome(older)).toBe('parked');
    offerNext(row(true));
    polls.wake(['web-01']);
    expect(await outcome(newer)).toEqual(row(true));
    expect(await outcome(older)).toBe('parked');
    clock.advance(1);
    expect(await outcome(older)).toBeNull();
  });

  it('is not ended by the end of the older one', async () => {
    const { clock, polls, offerNext } = scene();
    const older = await polls.start('web-01', 60_000);
    const newer = await polls.start('web-01', 60_000);
    clock.advance(1_000);
    expect(await outcome(older)).toBeNull();
    offerNext(row(true));
    polls.wake(['web-01']);
    expect(await outcome(newer)).toEqual(row(true));
  });
});

describe('the whole', () => {
  it('is bounded: one poll too many is refused, to come back later', async () => {
    const { polls } = scene(1);
    await polls.start('web-01', 60_000);
    const refused = await polls.start('web-02', 60_000).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(Refusal);
    expect(refused).toMatchObject({ code: 'not-accepted', options: { why: 'polls-full' } });
  });

  it('answers everyone when it drains, and parks nobody afterwards', async () => {
    const { polls } = scene();
    const parked = await Promise.all(['a', 'b'].map((host) => polls.start(host, 60_000)));
    polls.drain();
    expect(await Promise.all(parked.map(outcome))).toEqual([null, null]);
    expect(await outcome(await polls.start('c', 60_000))).toBeNull();
    expect(polls.parked).toBe(0);
  });
});
