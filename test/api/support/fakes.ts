/** Time that moves only when told to, and a replica of the API whose queue is the test's own. */
import { buildApi, type Api } from '../../../src/api/app.ts';
import type { ApiDeps, CertificateOptions, Submit, Submitted } from '../../../src/api/deps.ts';
import { KeptMaterial } from '../../../src/api/listen/files.ts';
import { createPool, type Pool } from '../../../src/db/pool.ts';
import { createFollower } from '../../../src/eventlog/follow.ts';
import { DEFAULT_SETTINGS } from '../../../src/reducer/settings.ts';
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
  /** Statements that the API waits for now. */
  busy(): number;
  /** Keeps the answer of the next statement back. */
  holdNext(): Held;
  /** Every input that was submitted. */
  readonly inputs: StoredInput[];
  /** Every line that was logged. */
  readonly logged: readonly string[];
  /** What the queue answers from now on. */
  answerWith(answer: Submit): void;
  /** A commit may have happened. */
  wake(): void;
  stop(): Promise<void>;
}

export const APPLIED: Submitted = { status: 'judged', verdict: { status: 'applied' }, seqs: [] };

interface TestPool extends Pool {
  busy(): number;
  holdNext(): Held;
}

/** One statement that the database has answered, while its caller does not know yet. */
export interface Held {
  readonly answered: Promise<void>;
  release(): void;
}

interface Hold extends Held {
  readonly released: Promise<void>;
  arrive(): void;
}

function hold(): Hold {
  let release: () => void = () => undefined;
  let arrive: () => void = () => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  const answered = new Promise<void>((resolve) => (arrive = resolve));
  return { answered, released, release, arrive };
}

/** A pool that knows how much it has not answered yet, and can keep an answer back. */
function testPool(pool: Pool): TestPool {
  let busy = 0;
  let next: Hold | null = null;
  return {
    busy: () => busy,
    holdNext: () => (next = hold()),
    get unconfirmed() {
      return pool.unconfirmed;
    },
    end: () => pool.end(),
    async run(statements) {
      const held = next;
      next = null;
      busy += 1;
      try {
        const answer = await pool.run(statements);
        held?.arrive();
        await held?.released;
        return answer;
      } finally {
        busy -= 1;
      }
    },
  };
}

const WITHOUT_CERTIFICATES: CertificateOptions = {
  material: await KeptMaterial.open(
    { cert: null, key: null, fleetCa: null, operatorCa: null, proxyCa: null, proxySecret: null },
    { clock: systemClock, log: silentLogger() },
  ),
  hostnameSuffix: '',
  minVersion: 'TLSv1.3',
  proxies: null,
};

export async function startReplica(
  url: string,
  limits: Partial<ApiDeps['limits']> = {},
  certificates: Partial<CertificateOptions> = {},
  more: Partial<ApiDeps> = {},
): Promise<Replica> {
  const database = { url, schema: 'muster', name: 'test' };
  const pool = testPool(createPool(database, { role: 'api', max: 4, statementMs: 5_000 }));
  const inputs: StoredInput[] = [];
  const logged: string[] = [];
  const wakes = new Set<() => void>();
  let queue: Submit = () => Promise.resolve(APPLIED);
  const api = await buildApi(
    {
      pool,
      presencePool: pool,
      submit: (input, options) => {
        inputs.push(input);
        return queue(input, options);
      },
      committed: createFollower({ database, pool, settings: DEFAULT_SETTINGS, clock: systemClock }),
      submitCommand: () => Promise.resolve({ status: 'queued', repeated: false }),
      wake: {
        subscribe(listener) {
          wakes.add(listener);
          return () => wakes.delete(listener);
        },
      },
      clock: systemClock,
      log: silentLogger(logged),
      metrics: createMetrics(),
      random: () => 0.5,
      readiness: () => Promise.resolve({ ready: true, reasons: [] }),
      replica: 'test',
      devIdentity: true,
      needsRevocations: false,
      certificates: { ...WITHOUT_CERTIFICATES, ...certificates },
      enrolment: null,
      closureSource: null,
      agentFreshnessMinutes: 60,
      ...more,
      limits: {
        verdictWaitMs: 2_000,
        requestTimeoutMs: 10_000,
        maxParkedPolls: 100,
        maxEventStreams: 10,
        maxConnections: 1_000,
        identityRequestsPerSecond: 10_000,
        requestsPerSecond: 100_000,
        connectionMaxMs: 3_600_000,
        ...limits,
      },
    },
    { serves: true, version: 'test' },
  );
  return {
    api,
    pool,
    busy: () => pool.busy(),
    holdNext: () => pool.holdNext(),
    inputs,
    logged,
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
