/**
 * A long poll of each host, parked at all times as agents park theirs: whenever one is answered, the next is sent. A poll
 * that no process remembers any more shows as one that brings no dispatch in the end.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { createCaller, type Answer, type Caller } from '../../faults/suite/load/http.ts';

/** What agents ask for; longer than a replica's drain, so that the drain has to end it. */
const WAIT_SECONDS = 60;
/** After which the sender of a poll that was not answered gives up. */
const TIMEOUT_MS = (WAIT_SECONDS + 10) * 1_000;
/** Agents wait as long as they are told; here a pause that keeps the polls parked. */
const AGAIN_MS = 50;

export class ParkedPolls {
  /** Polls that ended otherwise than with an answer or a refusal that says when to come again, in words. */
  readonly wrong: string[] = [];
  /** The target that each host was sent to. */
  readonly dispatched = new Map<string, string>();
  private readonly caller: Caller;
  private readonly loops: Promise<unknown>;
  private ended = false;

  constructor(port: number, hosts: readonly string[]) {
    this.caller = createCaller(port);
    this.loops = Promise.all(hosts.map((hostname) => this.park(hostname)));
  }

  async end(): Promise<void> {
    this.ended = true;
    this.caller.close();
    await this.loops;
  }

  private async park(hostname: string): Promise<void> {
    const poll = { method: 'GET', path: `/v1/agent/dispatch?wait=${WAIT_SECONDS}` } as const;
    while (!this.ended) {
      const answer = await this.caller.call({
        ...poll,
        as: `agent:${hostname}`,
        timeoutMs: TIMEOUT_MS,
      });
      await this.note(hostname, answer);
    }
  }

  private async note(hostname: string, answer: Answer | null): Promise<void> {
    if (this.ended) return; // cut off by our own end
    switch (answer?.status) {
      case 200:
        this.dispatched.set(hostname, targetOf(answer.body));
        return;
      case 204:
        return;
      default:
        if (!isRetryable(answer)) this.wrong.push(`${hostname}: ${answer?.status ?? 'no answer'}`);
        await delay(AGAIN_MS);
    }
  }
}

function isRetryable(answer: Answer | null): boolean {
  return answer?.status === 503 && Number(answer.headers['retry-after']) > 0;
}

function targetOf(body: string): string {
  const { target_closure: target } = JSON.parse(body) as { target_closure?: unknown };
  return String(target);
}
