/**
 * Hosts beside those that post events: some report another closure with every heartbeat, each of which the log must
 * have; others are never ready for their dispatch, so that they are offered it again and again; and some post what must be
 * refused, so that who is told of no decision, or of another's, shows.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { heartbeat, poll, type Wire } from './agent-calls.ts';
import { exchange } from './http.ts';

/** From one report to the next: ten hosts make some 30 a second. */
const REPORT_PACE_MS = 300;
/** Half a second in a poll at a time: the load must stop soon when it is told to. */
const POLL_SECONDS = 0.5;
const AGAIN_MS = 100;
/** Three make some 30 a second. */
const MISFIT_PACE_MS = 100;
/** In no installation. */
const NO_ROLLOUT = `stable@${'0'.repeat(40)}`;

export class Reporter {
  readonly hostname: string;
  private readonly wire: Wire;
  private count = 0;

  constructor(wire: Wire, hostname: string) {
    this.wire = wire;
    this.hostname = hostname;
  }

  /** Resolves when the control plane knows the host. */
  async begin(end: AbortSignal): Promise<void> {
    while (!(await this.report()) && !end.aborted) await delay(AGAIN_MS);
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.report();
      await delay(REPORT_PACE_MS);
    }
  }

  /** None is ever repeated: an answer that does not come leaves it open whether it was taken. */
  private async report(): Promise<boolean> {
    this.count += 1;
    const closure = `said-${this.count}`;
    const answer = await heartbeat(this.wire, { hostname: this.hostname, closure, isNews: true });
    return answer !== null && answer.status === 200;
  }
}

export class Waiter {
  private readonly wire: Wire;
  private readonly hostname: string;

  constructor(wire: Wire, hostname: string) {
    this.wire = wire;
    this.hostname = hostname;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { wire, hostname } = this;
    while (!signal.aborted) {
      await heartbeat(wire, { hostname, closure: `old-${hostname}`, isNews: true });
      const { answer } = await poll(wire, hostname, POLL_SECONDS);
      if (answer === null || answer.status >= 300) await delay(AGAIN_MS);
    }
  }
}

export class Misfit {
  private readonly wire: Wire;
  private readonly hostname: string;
  private seq = 0;

  constructor(wire: Wire, hostname: string) {
    this.wire = wire;
    this.hostname = hostname;
  }

  /** Each once. */
  async run(signal: AbortSignal): Promise<void> {
    const { wire, hostname } = this;
    while (!signal.aborted) {
      this.seq += 1;
      const { seq } = this;
      const event = {
        kind: 'ActivationStarted',
        seq,
        startedAt: new Date().toISOString(),
        switchMethod: 'test',
      };
      const { answer, ...seen } = await exchange(wire.caller, {
        method: 'POST',
        path: '/v1/agent/events',
        as: `agent:${hostname}`,
        body: { hostname, rolloutId: NO_ROLLOUT, event },
      });
      const verdict = answer?.headers['x-muster-verdict'];
      wire.history.note({
        ...{ of: 'misfit', hostname, seq, ...seen },
        verdict: typeof verdict === 'string' ? verdict : null,
      });
      await delay(MISFIT_PACE_MS);
    }
  }
}
