/**
 * One process of the product: what dies together, freezes together and shares a clock. Its roles are in
 * `replica.ts`, `leader.ts` and `workers.ts`. Whatever it waits for goes through here, so that a dead one
 * never goes on, and a frozen one goes on late.
 */
import type { Clock, Logger, Metrics } from '../../src/telemetry.ts';
import type { Random } from '../../src/agent/clock.ts';
import type { Millis } from '../../src/reducer/time.ts';
import { AwayError, type Database } from './database.ts';
import type { Faults } from './faults.ts';
import { errorOf, type Scheduler } from './scheduler.ts';
import type { Trace } from './trace.ts';

/** What all parts of a simulated world share. */
export interface World {
  readonly scheduler: Scheduler;
  readonly faults: Faults;
  readonly trace: Trace;
  readonly db: Database;
}

export class Process {
  readonly name: string;
  readonly world: World;
  readonly clock: Clock;
  readonly random: Random;
  clockOffset: Millis = 0;
  isAlive = true;
  private frozenUntil: Millis = 0;
  private readonly onIn = new Set<() => void>();
  private readonly onOut = new Set<() => void>();

  constructor(world: World, name: string) {
    this.world = world;
    this.name = name;
    this.random = world.faults.random(`process/${name}`);
    const { scheduler } = world;
    this.clock = {
      now: () => scheduler.now + this.clockOffset,
      monotonic: () => scheduler.now,
      after: (ms, task) => scheduler.after(ms, () => this.deliver(task)),
    };
    world.db.listeners.add(this);
  }

  get isFrozen(): boolean {
    return this.world.scheduler.now < this.frozenUntil;
  }

  /** Runs `task` in this process: not if it is dead, and later if it is frozen. */
  deliver(task: () => void): void {
    if (!this.isAlive) return;
    const left = this.frozenUntil - this.world.scheduler.now;
    if (left <= 0) task();
    else this.world.scheduler.after(left, () => this.deliver(task));
  }

  sleep(ms: Millis): Promise<void> {
    return new Promise((resolve) => {
      this.clock.after(ms, resolve);
    });
  }

  /** One statement: what was sent is carried out, whether or not the sender hears of it. */
  query<T>(statement: () => T | Promise<T>): Promise<T> {
    const { scheduler, faults, db } = this.world;
    return new Promise((resolve, reject) => {
      const answer = (tell: () => void) => {
        scheduler.after(1, () => this.deliver(tell));
      };
      scheduler.after(1, () => {
        if (scheduler.now < db.awayUntil || faults.strikes('database-refuses')) {
          answer(() => reject(new AwayError('the database does not answer')));
          return;
        }
        const carriedOut = Promise.resolve().then(statement);
        carriedOut.then(
          (value) => {
            const isLost = faults.strikes('database-answer-lost');
            answer(() => (isLost ? reject(new AwayError('no answer came')) : resolve(value)));
          },
          (error: unknown) => answer(() => reject(errorOf(error))),
        );
      });
    });
  }

  hear(channel: 'in' | 'out'): void {
    this.deliver(() => {
      for (const listener of [...(channel === 'in' ? this.onIn : this.onOut)]) listener();
    });
  }

  on(channel: 'in' | 'out', listener: () => void): () => void {
    const listeners = channel === 'in' ? this.onIn : this.onOut;
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
    };
  }

  /** Resolves at the next notification, or at the signal. */
  heard(channel: 'in' | 'out', signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const done = (): void => {
        forget();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const forget = this.on(channel, done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  /** Resolves at the next notification, or after `ms`. */
  heardWithin(channel: 'in' | 'out', ms: Millis): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        forget();
        resolve();
      };
      const cancel = this.clock.after(ms, done);
      const forget = this.on(channel, done);
    });
  }

  freeze(ms: Millis): void {
    this.world.trace.say(this.name, `frozen for ${String(ms)} ms`);
    this.frozenUntil = Math.max(this.frozenUntil, this.world.scheduler.now + ms);
    const { db, scheduler } = this.world;
    // The server ends lock sessions that are not pinged.
    scheduler.after(5_000, () => {
      if (!this.isFrozen) return;
      db.breakLock('leader', this.name);
      db.breakLock('workers', this.name);
    });
  }

  /** Told of its end. */
  onCrash: () => void = () => undefined;

  crash(): void {
    if (!this.isAlive) return;
    this.world.trace.say(this.name, 'crashed');
    this.isAlive = false;
    const { db, scheduler } = this.world;
    db.listeners.delete(this);
    const letGo = (): void => {
      db.breakLock('leader', this.name);
      db.breakLock('workers', this.name);
    };
    letGo();
    // A statement that was under way is still carried out: what it locks ends with the session, too.
    scheduler.after(2, letGo);
    this.onCrash();
  }
}

export const SILENT_LOG: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => SILENT_LOG,
};

export const NO_METRICS: Metrics = {
  count: () => undefined,
  set: () => undefined,
  observe: () => undefined,
  watch: () => undefined,
  clear: () => undefined,
};
