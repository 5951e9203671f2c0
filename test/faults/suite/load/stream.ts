/**
 * One simulated host: it moves to its target as agents do, and then reports a probe, again and again, each
 * time as an event of its own with the next seq. Half of the hosts repeat an event until it is answered with
 * a 2xx, like every real agent; the others never repeat one, so that an event without an answer stays
 * unanswered, and may be in the log at most once.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { heartbeat, poll, type Wire } from './agent-calls.ts';
import { exchange } from './http.ts';
import { outcomeOf, type EventAttempt, type Offer } from './history.ts';

export interface StreamOptions extends Wire {
  readonly hostname: string;
  readonly repeats: boolean;
  /** From then on nothing is repeated any more. */
  readonly end: AbortSignal;
}

/** From the beginning of one event to the next: sixty hosts make some 600 events a second. */
const PACE_MS = 100;
/** After a failure. Agents wait 15 s; the load must not be thin while a fault is on. */
const AGAIN_MS = 50;
const HEARTBEAT_EVERY_MS = 5_000;
const POLL_SECONDS = 5;

interface Posted {
  readonly kind: string;
  readonly [field: string]: unknown;
}

export class Stream {
  readonly hostname: string;
  private readonly options: StreamOptions;
  private readonly journal: (Posted & { readonly seq: number })[] = [];
  private rolloutId = '';
  private target = '';
  private closure: string;
  private seq = 0;

  constructor(options: StreamOptions) {
    this.options = options;
    this.hostname = options.hostname;
    this.closure = `old-${options.hostname}`;
  }

  /** Heartbeat, dispatch, switch: from here on it soaks. */
  async move(): Promise<void> {
    await this.heartbeat();
    const dispatch = await this.dispatched();
    this.journal.length = 0; // of the rollout that this one supersedes
    this.rolloutId = dispatch.rolloutId;
    this.target = dispatch.closure;
    const before = this.closure;
    await this.insist({
      kind: 'DispatchAck',
      currentClosureAtDispatch: before,
      receivedAt: now(),
    });
    await this.insist({ kind: 'ActivationStarted', startedAt: now(), switchMethod: 'test' });
    this.closure = this.target;
    await this.insist({
      kind: 'ActivationCompleted',
      observedCurrentClosure: this.target,
      exitCode: 0,
      completedAt: now(),
    });
  }

  /** Posts and heartbeats until the signal; then finishes what it has begun. */
  async run(signal: AbortSignal): Promise<void> {
    let heardAt = performance.now() - Math.random() * HEARTBEAT_EVERY_MS;
    while (!signal.aborted) {
      const began = performance.now();
      if (began - heardAt > HEARTBEAT_EVERY_MS) {
        heardAt = began;
        await this.heartbeatOnce();
      }
      const event = this.next(this.probe());
      if (this.options.repeats) await this.untilTaken(event);
      else await this.post(event);
      await delay(Math.max(0, PACE_MS - (performance.now() - began)));
    }
  }

  /** Asks what the control plane has, and posts again what it lacks; true when something was missing. */
  async replay(): Promise<boolean> {
    const answer = await this.heartbeat();
    const from = Number(answer.headers['x-nixfleet-replay-from'] ?? 'NaN');
    if (Number.isNaN(from)) return false;
    for (const event of this.journal.filter(({ seq }) => seq >= from)) await this.untilTaken(event);
    return true;
  }

  private probe(): Posted {
    const status = this.seq % 2 === 0 ? 'pass' : 'fail';
    return { kind: 'ProbeResult', probeName: 'p', mode: 'observe', status, observedAt: now() };
  }

  private next(event: Posted): Posted & { readonly seq: number } {
    this.seq += 1;
    const numbered = { ...event, seq: this.seq };
    this.journal.push(numbered);
    return numbered;
  }

  private async insist(event: Posted): Promise<void> {
    await this.untilTaken(this.next(event));
  }

  private async untilTaken(event: Posted & { readonly seq: number }): Promise<void> {
    const { end } = this.options;
    while (outcomeOf(await this.post(event)) !== 'ok' && !end.aborted) await delay(AGAIN_MS);
  }

  private async post(event: Posted & { readonly seq: number }): Promise<EventAttempt> {
    const { hostname, rolloutId } = this;
    const { answer, ...seen } = await exchange(this.options.caller, {
      method: 'POST',
      path: '/v1/agent/events',
      as: `agent:${hostname}`,
      body: { hostname, rolloutId, event },
    });
    const verdict = answer?.headers['x-muster-verdict'];
    const attempt: EventAttempt = {
      ...{ of: 'event', hostname, rolloutId, seq: event.seq, kind: event.kind },
      verdict: typeof verdict === 'string' ? verdict : null,
      ...seen,
    };
    this.options.history.note(attempt);
    if (answer === null) await delay(AGAIN_MS);
    return attempt;
  }

  private heartbeatOnce() {
    const { hostname, closure, rolloutId: id, seq } = this;
    // Of its first contact the log must know; what it runs later is what its events say, too.
    const isNews = id === '';
    const about = { hostname, closure, isNews };
    return heartbeat(this.options, isNews ? about : { ...about, rollout: { id, seq } });
  }

  private async heartbeat() {
    for (;;) {
      const answer = await this.heartbeatOnce();
      if (answer?.status === 200) return answer;
      this.mustGoOn();
      await delay(AGAIN_MS);
    }
  }

  /** Nobody waits any more for what does not come. */
  private mustGoOn(): void {
    if (this.options.end.aborted) throw new Error(`${this.hostname} has ended`);
  }

  private async dispatched(): Promise<Offer> {
    for (;;) {
      const { offered } = await poll(this.options, this.hostname, POLL_SECONDS);
      if (offered !== null) return offered;
      this.mustGoOn();
      // Who is taken for silent, by a clock that was set forward say, is offered nothing.
      await this.heartbeatOnce();
      await delay(AGAIN_MS);
    }
  }
}

function now(): string {
  return new Date().toISOString();
}
