/**
 * Dispatch long polls, parked in memory. A poll asks once when it arrives, again when a commit may have
 * brought something for its host, and again when a dispatch that was offered lately falls due. It ends with
 * a dispatch, with its wait, with its client, or with a newer poll of its host: two machines cloned with
 * one identity must not spin, so the older one ends no sooner than a second after it began.
 *
 * An offer is recorded before it is answered; one whose client has gone meanwhile is repeated when due.
 */
import type { OfferRow } from '../db/offers.ts';
import { databaseProblem } from '../db/errors.ts';
import type { Clock, Logger, Metrics } from '../telemetry.ts';
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
  /** The newest poll of each host. */
  private readonly newest = new Map<string, Poll>();
  /** Hosts whose offer is being asked for, and whether to ask again afterwards. */
  private readonly asking = new Map<string, boolean>();
  /** All polls, those that were overtaken included. */
  private readonly all = new Set<Poll>();
  private draining = false;

  constructor(options: PollsOptions) {
    this.options = options;
  }

  get parked(): number {
    return this.all.size;
  }

  get isDraining(): boolean {
    return this.draining;
  }

  isParked(hostname: string): boolean {
    return this.newest.has(hostname);
  }

  /** Resolves when the first question has been answered: until then failures are the caller's to tell. */
  async start(hostname: string, waitMs: number): Promise<Poll> {
    const poll = this.park(hostname);
    try {
      await this.ask(hostname);
    } catch (error) {
      this.finish(poll, null);
      throw error;
    }
    if (waitMs === 0 || this.draining) this.finish(poll, null);
    else if (!poll.ended) {
      poll.later(this.options.clock, waitMs, () => {
        this.finish(poll, null);
      });
    }
    return poll;
  }

  /** Something may have been queued for these hosts. */
  wake(hostnames: readonly string[]): void {
    for (const hostname of hostnames) if (this.newest.has(hostname)) this.askAgain(hostname);
  }

  /** Ends the polls of hosts whose certificates may hold no longer; those that do come back. */
  endOf(hostnames: ReadonlySet<string>): void {
    for (const poll of [...this.all]) if (hostnames.has(poll.hostname)) this.finish(poll, null);
  }

  finish(poll: Poll, row: OfferRow | null): void {
    poll.end(row);
    this.all.delete(poll);
    if (this.newest.get(poll.hostname) === poll) this.newest.delete(poll.hostname);
    this.gauge();
  }

  /** Ends every poll, and from now on each after its first question. */
  drain(): void {
    this.draining = true;
    for (const poll of [...this.all]) this.finish(poll, null);
  }

  private park(hostname: string): Poll {
    const { clock, maxParked } = this.options;
    if (this.all.size >= maxParked) {
      const detail = 'too many polls wait here; poll again later';
      throw new Refusal('not-accepted', detail, {
        retryAfterSecs: FULL_RETRY_SECS,
        why: 'polls-full',
      });
    }
    const older = this.newest.get(hostname);
    const poll = new Poll(hostname, clock.monotonic());
    this.newest.set(hostname, poll);
    this.all.add(poll);
    this.gauge();
    if (older !== undefined) this.overtake(older, poll.began);
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

  /** One question at a time for each host; whoever asks meanwhile makes it be asked once more. */
  private async ask(hostname: string): Promise<void> {
    if (this.asking.has(hostname)) {
      this.asking.set(hostname, true);
      return;
    }
    this.asking.set(hostname, false);
    try {
      do {
        this.asking.set(hostname, false);
        this.take(hostname, await this.options.offer(hostname));
      } while (this.asking.get(hostname) === true && this.newest.has(hostname));
    } finally {
      this.asking.delete(hostname);
    }
  }

  private take(hostname: string, row: OfferRow | null): void {
    const poll = this.newest.get(hostname);
    if (poll === undefined || row === null) return;
    if (row.offered) {
      this.options.metrics.count('muster_api_offers_total', {});
      this.finish(poll, row);
      return;
    }
    const spread = Math.ceil(this.options.random() * RETRY_SPREAD_MS);
    const due = Math.max(row.due_ms, SOONEST_RETRY_MS) + spread;
    poll.retry(this.options.clock, due, () => {
      if (this.newest.get(hostname) === poll) this.askAgain(hostname);
    });
  }

  private askAgain(hostname: string): void {
    this.ask(hostname).catch((error: unknown) => {
      // It stays parked: the safety net asks again, and its client polls again after its wait.
      this.options.log.debug({ hostname, problem: databaseProblem(error) }, 'an offer failed');
    });
  }

  private gauge(): void {
    this.options.metrics.set('muster_api_parked_polls', {}, this.all.size);
  }
}
