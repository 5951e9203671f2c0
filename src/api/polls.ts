/**
 * Dispatch long polls, parked in memory. A poll asks once when it arrives, again when a commit may have
 * brought something for its host, and again when a dispatch that was offered lately falls due. It ends with
 * a dispatch, with its wait, with its client, or with a newer poll of its host: two machines cloned with
 * one identity must not spin, so the older one ends no sooner than a second after it began.
 *
 * An offer is recorded before it is answered, and nobody offers it again for a while: so it goes to whichever
 * poll of its host is open, the newest first, and a poll whose time is over while its host is asked for stays open for
 * that answer. One whose clients have gone meanwhile is repeated when due.
 */
import type { OfferRow } from '../db/offers.ts';
import { databaseProblem } from '../db/errors.ts';
import type { Clock, Logger, Metrics } from '../telemetry.ts';
import { oneAtATime } from './one-at-a-time.ts';
import { Refusal } from './refusal.ts';

export interface PollsOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly random: () => number;
  readonly maxParked: number;
  /** Offers what is in force for the host; null when there is nothing. */
  readonly offer: (hostname: string) => Promise<OfferRow | null>;
}

const SHORTEST_LIFE_MS = 1_000;
/** The leader holds the row for one commit; or something is wrong, and then a second is soon enough. */
const SOONEST_RETRY_MS = 1_000;
/** For a poll that does not wait: most commits are over by then. */
const HELD_AGAIN_MS = 50;
/** So that hosts offered together do not come back together. */
const RETRY_SPREAD_MS = 500;
const FULL_RETRY_SECS = 15;

export class Poll {
  readonly hostname: string;
  readonly began: number;
  /** Ends when the poll ends. */
  readonly answer: Promise<OfferRow | null>;
  private settle: (row: OfferRow | null) => void = () => undefined;
  private readonly cancels = new Set<() => void>();
  private cancelRetry: () => void = () => undefined;
  ended = false;
  /** Ends with the answer that its host's question under way has, whatever that is. */
  leaves = false;

  constructor(hostname: string, began: number) {
    this.hostname = hostname;
    this.began = began;
    this.answer = new Promise((resolve) => {
      this.settle = resolve;
    });
  }

  /** Runs `task` later, unless the poll has ended by then. */
  later(clock: Clock, ms: number, task: () => void): void {
    this.cancels.add(clock.after(ms, task));
  }

  /** As `later`, instead of the retry that was planned before. */
  retry(clock: Clock, ms: number, task: () => void): void {
    this.cancelRetry();
    this.cancelRetry = clock.after(ms, task);
  }

  end(row: OfferRow | null): void {
    if (this.ended) return;
    this.ended = true;
    for (const cancel of this.cancels) cancel();
    this.cancelRetry();
    this.settle(row);
  }
}

export class Polls {
  private readonly options: PollsOptions;
  /** The open polls of each host, the newest last; the others were overtaken, and end soon. */
  private readonly open = new Map<string, readonly Poll[]>();
  /** Asks what may be offered to a host, of a question that begins now or later. */
  private readonly ask: (hostname: string) => Promise<OfferRow | null>;
  /** Hosts that the database is asked about. */
  private readonly asked = new Set<string>();
  private count = 0;
  private draining = false;

  constructor(options: PollsOptions) {
    this.options = options;
    this.ask = oneAtATime((hostname) => this.question(hostname));
  }

  get parked(): number {
    return this.count;
  }

  get isDraining(): boolean {
    return this.draining;
  }

  /** Resolves when its first question has been answered: until then failures are the caller's to tell. */
  async start(hostname: string, waitMs: number): Promise<Poll> {
    const poll = this.park(hostname);
    try {
      const row = await this.unlessAnswered(poll, this.ask(hostname));
      if (waitMs === 0 && !poll.ended && isHeld(row))
        await this.unlessAnswered(poll, this.askShortly(hostname));
    } catch (error) {
      this.finish(poll, null);
      throw error;
    }
    if (waitMs === 0 || this.draining) this.leave(poll);
    else if (!poll.ended) {
      poll.later(this.options.clock, waitMs, () => {
        this.leave(poll);
      });
    }
    return poll;
  }

  /** Something may have been queued for these hosts. */
  wake(hostnames: readonly string[]): void {
    for (const hostname of hostnames) if (this.open.has(hostname)) this.askAgain(hostname);
  }

  /** Ends the polls of hosts whose certificates may hold no longer; those that do come back. */
  endOf(hostnames: ReadonlySet<string>): void {
    for (const hostname of hostnames)
      for (const poll of this.openOf(hostname)) this.finish(poll, null);
  }

  finish(poll: Poll, row: OfferRow | null): void {
    if (poll.ended) return;
    poll.end(row);
    const { hostname } = poll;
    const others = this.openOf(hostname).filter((other) => other !== poll);
    if (others.length === 0) this.open.delete(hostname);
    else this.open.set(hostname, others);
    this.counted(-1);
  }

  /** Ends every poll, those whose hosts are asked for with the answer, and from now on each after its first question. */
  drain(): void {
    this.draining = true;
    for (const polls of [...this.open.values()]) for (const poll of polls) this.leave(poll);
  }

  /** Its time is over. */
  private leave(poll: Poll): void {
    if (this.asked.has(poll.hostname)) poll.leaves = true;
    else this.finish(poll, null);
  }

  private park(hostname: string): Poll {
    const { clock, maxParked } = this.options;
    if (this.count >= maxParked) {
      const detail = 'too many polls wait here; poll again later';
      throw new Refusal('not-accepted', detail, {
        retryAfterSecs: FULL_RETRY_SECS,
        why: 'polls-full',
      });
    }
    const older = this.openOf(hostname);
    const poll = new Poll(hostname, clock.monotonic());
    this.open.set(hostname, [...older, poll]);
    this.counted(1);
    const overtaken = older.at(-1);
    if (overtaken !== undefined) this.overtake(overtaken, poll.began);
    return poll;
  }

  private overtake(older: Poll, now: number): void {
    const left = older.began + SHORTEST_LIFE_MS - now;
    if (left <= 0) this.finish(older, null);
    else {
      older.later(this.options.clock, left, () => {
        this.finish(older, null);
      });
    }
  }

  private openOf(hostname: string): readonly Poll[] {
    return this.open.get(hostname) ?? [];
  }

  private async question(hostname: string): Promise<OfferRow | null> {
    // Those who wanted it may have gone while the one before was under way.
    if (!this.open.has(hostname)) return null;
    this.asked.add(hostname);
    try {
      const row = await this.options.offer(hostname);
      if (row !== null) this.take(row);
      return row;
    } finally {
      this.asked.delete(hostname);
      for (const poll of this.openOf(hostname)) if (poll.leaves) this.finish(poll, null);
    }
  }

  private take(row: OfferRow): void {
    const poll = this.openOf(row.hostname).at(-1);
    if (poll === undefined) return;
    if (row.offered) {
      this.options.metrics.count('muster_api_offers_total', {});
      this.finish(poll, row);
      return;
    }
    const spread = Math.ceil(this.options.random() * RETRY_SPREAD_MS);
    const due = Math.max(row.due_ms, SOONEST_RETRY_MS) + spread;
    poll.retry(this.options.clock, due, () => {
      this.askAgain(row.hostname);
    });
  }

  /** The question before may have brought its answer already: then the next one, or its failure, is not waited for. */
  private unlessAnswered(poll: Poll, asked: Promise<OfferRow | null>): Promise<OfferRow | null> {
    return Promise.race([poll.answer, asked]);
  }

  private async askShortly(hostname: string): Promise<OfferRow | null> {
    await new Promise<void>((resolve) => this.options.clock.after(HELD_AGAIN_MS, resolve));
    return this.ask(hostname);
  }

  private askAgain(hostname: string): void {
    this.ask(hostname).catch((error: unknown) => {
      // It stays parked: the safety net asks again, and its client polls again after its wait.
      this.options.log.debug({ hostname, problem: databaseProblem(error) }, 'an offer failed');
    });
  }

  private counted(change: 1 | -1): void {
    this.count += change;
    this.options.metrics.set('muster_api_parked_polls', {}, this.count);
  }
}

/** It could have been offered, but a commit in hand held it. */
function isHeld(row: OfferRow | null): boolean {
  return row !== null && !row.offered && row.due_ms === 0;
}
