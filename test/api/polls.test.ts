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
  let holding = false;
  const held: (() => void)[] = [];
  const polls = new Polls({
    clock,
    log: silentLogger(),
    metrics: createMetrics(),
    random: () => 0,
    maxParked,
    offer: async () => {
      asked += 1;
      // What is in force when the question begins: later news is not in its answer.
      const answer = next;
      if (holding) await new Promise<void>((resolve) => held.push(resolve));
      if (answer instanceof Error) throw answer;
      return answer;
    },
  });
  return {
    clock,
    polls,
    asked: () => asked,
    offerNext: (answer: OfferRow | null | Error) => {
      next = answer;
    },
    /** From now on questions are under way until `release`. */
    hold: () => {
      holding = true;
    },
    release: async () => {
      holding = false;
      for (const resolve of held.splice(0)) resolve();
      await settled();
    },
  };
}

/** Lets everything that is due in this turn happen. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

async function outcome(poll: Poll): Promise<OfferRow | null | 'parked'> {
  await settled();
  return poll.ended ? poll.answer : 'parked';
}

async function outcomes(starting: readonly Promise<Poll>[]) {
  return Promise.all((await Promise.all(starting)).map(outcome));
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

  it('outlasts its wait while its host is asked for', async () => {
    const { clock, polls, offerNext, hold, release } = scene();
    const poll = await polls.start('web-01', 60_000);
    clock.advance(59_999);
    offerNext(row(true));
    hold();
    polls.wake(['web-01']);
    clock.advance(1);
    expect(await outcome(poll)).toBe('parked');
    await release();
    expect(await outcome(poll)).toEqual(row(true));
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

describe('a poll that comes while its host is being asked for', () => {
  it('is given what that question offers, and the other hears that there is nothing more', async () => {
    const { polls, offerNext, hold, release } = scene();
    offerNext(row(true));
    hold();
    const both = [polls.start('web-01', 0), polls.start('web-01', 0)];
    offerNext(row(false, 30_000));
    await release();
    expect(await outcomes(both)).toEqual([null, row(true)]);
    expect(polls.parked).toBe(0);
  });

  it('is asked for itself: what came meanwhile is not in the answer to the other', async () => {
    const { polls, offerNext, asked, hold, release } = scene();
    hold();
    const both = [polls.start('web-01', 0), polls.start('web-01', 0)];
    offerNext(row(true));
    await release();
    expect(await outcomes(both)).toEqual([null, row(true)]);
    expect(asked()).toBe(2);
  });

  it('shares its question with all others that came meanwhile', async () => {
    const { polls, asked, hold, release } = scene();
    hold();
    const all = [0, 60_000, 0, 60_000].map((wait) => polls.start('web-01', wait));
    polls.wake(['web-01']);
    await release();
    expect(await outcomes(all)).toEqual([null, 'parked', null, 'parked']);
    expect(asked()).toBe(2);
  });

  it('leaves what is offered to the older one when it has gone itself', async () => {
    const { polls, offerNext, hold, release } = scene();
    const older = await polls.start('web-01', 60_000);
    const newer = await polls.start('web-01', 60_000);
    offerNext(row(true));
    hold();
    polls.wake(['web-01']);
    polls.finish(newer, null);
    await release();
    expect(await outcome(older)).toEqual(row(true));
    expect(polls.parked).toBe(0);
  });

  it('keeps what it was given when its own question fails', async () => {
    const { polls, offerNext, hold, release } = scene();
    offerNext(row(true));
    hold();
    const both = [polls.start('web-01', 60_000), polls.start('web-01', 60_000)];
    offerNext(new Error('away'));
    await release();
    expect(await outcomes(both)).toEqual(['parked', row(true)]);
  });

  it('hears of the failure that it waited for, and is not asked for in vain', async () => {
    const { polls, offerNext, asked, hold, release } = scene();
    offerNext(new Error('away'));
    hold();
    const both = [polls.start('web-01', 0), polls.start('web-01', 60_000)];
    const told = Promise.allSettled(both);
    await release();
    expect((await told).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect([asked(), polls.parked]).toEqual([1, 0]);
    offerNext(row(true));
    expect(await outcome(await polls.start('web-01', 0))).toEqual(row(true));
  });
});

describe('a poll without a wait', () => {
  it('is asked for once more when a commit in hand held its row', async () => {
    const { clock, polls, offerNext, asked } = scene();
    offerNext(row(false, 0));
    const starting = polls.start('web-01', 0);
    await settled();
    offerNext(row(true));
    clock.advance(50);
    expect(await outcome(await starting)).toEqual(row(true));
    expect(asked()).toBe(2);
  });

  it('is told that there is nothing when the row is held on and on', async () => {
    const { clock, polls, offerNext, asked } = scene();
    offerNext(row(false, 0));
    const starting = polls.start('web-01', 0);
    await settled();
    clock.advance(50);
    expect(await outcome(await starting)).toBeNull();
    clock.advance(60_000);
    await settled();
    expect([asked(), polls.parked]).toEqual([2, 0]);
  });

  it('is not asked for again when its row was offered lately', async () => {
    const { polls, offerNext, asked } = scene();
    offerNext(row(false, 20_000));
    expect(await outcome(await polls.start('web-01', 0))).toBeNull();
    expect(asked()).toBe(1);
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

  it('waits, when it drains, for what is being offered: nobody would offer it again for half a minute', async () => {
    const { polls, offerNext, hold, release } = scene();
    const parked = await polls.start('web-01', 60_000);
    const other = await polls.start('web-02', 60_000);
    offerNext(row(true));
    hold();
    polls.wake(['web-01']);
    polls.drain();
    expect([await outcome(parked), await outcome(other)]).toEqual(['parked', null]);
    await release();
    expect(await outcome(parked)).toEqual(row(true));
    expect(polls.parked).toBe(0);
  });

  it.each([null, row(false, 20_000), new Error('away')])(
    'ends the others when their question does (%s)',
    async (answer) => {
      const { clock, polls, offerNext, hold, release } = scene();
      const parked = await polls.start('web-01', 60_000);
      offerNext(answer);
      hold();
      polls.wake(['web-01']);
      polls.drain();
      await release();
      expect(await outcome(parked)).toBeNull();
      clock.advance(60_000);
      await settled();
      expect(polls.parked).toBe(0);
    },
  );

  it('answers everyone when it drains, and parks nobody afterwards', async () => {
    const { polls } = scene();
    const parked = await Promise.all(['a', 'b'].map((host) => polls.start(host, 60_000)));
    polls.drain();
    expect(await Promise.all(parked.map(outcome))).toEqual([null, null]);
    expect(await outcome(await polls.start('c', 60_000))).toBeNull();
    expect(polls.parked).toBe(0);
  });
});
