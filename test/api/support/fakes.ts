/** Time that moves only when told to, and a replica of the API whose queue is the test's own. */
import { buildApi, type Api } from '../../../src/api/app.ts';
import type { ApiDeps, Submit, Submitted } from '../../../src/api/deps.ts';
import { createPool, type Pool } from '../../../src/db/pool.ts';
import type { StoredInput } from '../../../src/wire/input.ts';
import { createMetrics, systemClock, type Clock } from '../../../src/telemetry.ts';
import { silentLogger } from '../../support/installation.ts';

export interface FakeClock extends Clock {
  /** Moves on, running what falls due in order. */
  advance(ms: number): void;
}

export function fakeClock(): FakeClock {
  let now = 0;
  let due: { readonly at: number; readonly task: () => void }[] = [];
  return {
    now: () => now,
    monotonic: () => now,
    after(ms, task) {
      const timer = { at: now + ms, task };
      due.push(timer);
      return () => {
        due = due.filter((other) => other !== timer);
      };
    },
    advance(ms) {
      const end = now + ms;
      for (;;) {
        const [next] = due.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
        if (next === undefined) break;
        due = due.filter((other) => other !== next);
        now = next.at;
        next.task();
      }
      now = end;
    },
  };
}

export interface Replica {
  readonly api: Api;
  readonly pool: Pool;
  /** Every input that was submitted. */
  readonly inputs: StoredInput[];
  /** What the queue answers from now on. */
  answerWith(answer: Submit): void;
  /** A commit may have happened. */
  wake(): void;
  stop(): Promise<void>;
}

export const APPLIED: Submitted = { status: 'judged', verdict: { status: 'applied' }, seqs: [] };

export async function startReplica(
  url: string,
  limits: Partial<ApiDeps['limits']> = {},
): Promise<Replica> {
  const pool = createPool(
    { url, schema: 'muster', name: 'test' },
    { role: 'api', max: 4, statementMs: 5_000 },
  );
  const inputs: StoredInput[] = [];
  const wakes = new Set<() => void>();
  let queue: Submit = () => Promise.resolve(APPLIED);
  const api = await buildApi(
    {
      pool,
      submit: (input, options) => {
        inputs.push(input);
        return queue(input, options);
      },
      wake: {
        subscribe(listener) {
          wakes.add(listener);
          return () => wakes.delete(listener);
        },
      },
      clock: systemClock,
      log: silentLogger(),
      metrics: createMetrics(),
      random: () => 0.5,
      readiness: () => Promise.resolve({ ready: true, reasons: [] }),
      replica: 'test',
      devIdentity: true,
      limits: {
        verdictWaitMs: 2_000,
        requestTimeoutMs: 10_000,
        maxParkedPolls: 100,
        maxConnections: 1_000,
        ...limits,
      },
    },
    { serves: true, version: 'test' },
  );
  return {
    api,
    pool,
    inputs,
    answerWith(answer) {
      queue = answer;
    },
    wake() {
      for (const listener of wakes) listener();
    },
    async stop() {
      await api.stop();
      await pool.end();
    },
  };
}
