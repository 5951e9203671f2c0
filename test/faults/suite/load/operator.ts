/**
 * Somebody who holds a host and lets it go, again and again, each time under a key of its own. Some repeat a command
 * under its key until it is taken, as `muster` does, and now and then once more: the answer must be the same. The
 * others never repeat one, so that a command without an answer stays unanswered, and may be carried out at most once.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { readObject, type Wire } from './agent-calls.ts';
import { exchange } from './http.ts';
import { outcomeOf, type CommandAttempt } from './history.ts';

export interface OperatorOptions extends Wire {
  readonly name: string;
  /** Known to the control plane, and nobody else's. */
  readonly hostname: string;
  readonly repeats: boolean;
  /** From then on nothing is repeated any more. */
  readonly end: AbortSignal;
}

/** From one command to the next: three operators make some ten a second. */
const PACE_MS = 300;
const AGAIN_MS = 100;
/** Every so many commands one that is decided is sent once more. */
const ONCE_MORE_EVERY = 3;

type Verb = 'hold' | 'release';

export class Operator {
  private readonly options: OperatorOptions;
  private count = 0;
  private verb: Verb = 'hold';

  constructor(options: OperatorOptions) {
    this.options = options;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const began = performance.now();
      await this.give();
      await delay(Math.max(0, PACE_MS - (performance.now() - began)));
    }
  }

  private async give(): Promise<void> {
    const { name, repeats, end } = this.options;
    this.count += 1;
    const key = `${name}-${this.count}`;
    const { verb } = this;
    let last = await this.send(key, verb);
    while (repeats && !isTaken(last) && !end.aborted) {
      await delay(AGAIN_MS);
      last = await this.send(key, verb);
    }
    if (!isTaken(last)) return;
    this.verb = verb === 'hold' ? 'release' : 'hold';
    if (repeats && this.count % ONCE_MORE_EVERY === 0) await this.send(key, verb);
  }

  private send(key: string, verb: Verb): Promise<CommandAttempt> {
    const { name, hostname } = this.options;
    return command(this.options, { name, hostname, verb, key });
  }
}

export interface Command {
  /** Of the operator. */
  readonly name: string;
  readonly hostname: string;
  readonly verb: Verb;
  readonly key: string;
}

/** Sends it once. */
export async function command(
  { caller, history }: Wire,
  { name, hostname, verb, key }: Command,
): Promise<CommandAttempt> {
  const { answer, ...seen } = await exchange(caller, {
    method: 'POST',
    path: `/v1/hosts/${hostname}/${verb}`,
    as: `operator:${name}`,
    headers: { 'idempotency-key': key },
    body: { reason: key },
  });
  const seqs = answer === null ? null : readSeqs(answer.body);
  const attempt: CommandAttempt = { of: 'command', key, seqs, ...seen };
  history.note(attempt);
  return attempt;
}

/** Stored, or decided against. */
export function isTaken(attempt: CommandAttempt): boolean {
  return attempt.seqs !== null || outcomeOf(attempt) === 'ok';
}

/** Those of an answer that tells a decision, be it a refusal. */
function readSeqs(body: string): readonly number[] | null {
  const { seqs } = readObject(body);
  if (!Array.isArray(seqs) || seqs.length === 0) return null;
  return seqs.map(Number);
}
