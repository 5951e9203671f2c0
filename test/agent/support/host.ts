/** A host whose switches and probes do what the test says, and the agent that runs on it. */
import { runAgent, type AgentSettings } from '../../../src/agent/agent.ts';
import { seededRandom } from '../../../src/agent/clock.ts';
import type { Dispatch } from '../../../src/agent/control-plane.ts';
import type { Probes, Switcher, SwitchOutcome } from '../../../src/agent/hooks.ts';
import { memoryStore, type JournalLine, type JournalStore } from '../../../src/agent/journal.ts';
import { Manifests } from '../../../src/agent/manifests.ts';
import type { ProbeVerdict } from '../../../src/reducer/host/events.ts';
import { timeOf } from '../../../src/reducer/time.ts';
import { ManualClock, settled } from './clock.ts';
import { FakeControlPlane } from './control-plane.ts';
import { releaseInMemory, ROLLOUT, target, trust, type MemorySource } from './release.ts';

export const SETTINGS: AgentSettings = {
  heartbeatMs: 60_000,
  firstHeartbeatWithinMs: 0,
  probeIntervalMs: 10_000,
  sustainedFailureMs: 20_000,
  rebootCheckMs: 5_000,
};

export const BEFORE = 'old-system-web-01';

export class TestHost {
  readonly clock = new ManualClock('2026-11-01T12:10:00Z');
  readonly controlPlane = new FakeControlPlane();
  readonly lines: JournalLine[] = [];
  readonly warnings: string[] = [];
  /** Closures that were switched to, in order. */
  readonly switched: string[] = [];
  switchMs = 2_000;
  closure = BEFORE;
  staged: string | null = null;
  /** What the hook that reads the closure fails with. */
  closureTrouble: Error | null = null;
  outcome: (closure: string) => SwitchOutcome = (closure) => ({
    kind: 'completed',
    observedClosure: closure,
  });
  probe: () => ProbeVerdict = () => 'pass';
  source: MemorySource = releaseInMemory();
  store: JournalStore = memoryStore(this.lines);
  private life = new AbortController();
  private running: Promise<void> = Promise.resolve();

  private readonly switcher: Switcher = {
    method: 'test',
    currentClosure: () =>
      this.closureTrouble === null
        ? Promise.resolve(this.closure)
        : Promise.reject(this.closureTrouble),
    activate: async (closure, signal) => {
      this.switched.push(closure);
      await this.clock.sleep(this.switchMs, signal);
      const outcome = this.outcome(closure);
      if (outcome.kind === 'completed') this.closure = closure;
      return outcome;
    },
    stagedClosure: () => Promise.resolve(this.staged),
    awaitIdle: () => Promise.resolve(),
  };

  probes: Probes = {
    declared: [{ probeName: 'up', kind: 'exec', mode: 'enforce' }],
    run: () => Promise.resolve({ status: this.probe() }),
  };

  /** Starts (or starts again) an agent on this host. */
  async start(): Promise<void> {
    this.life = new AbortController();
    const { clock, controlPlane, switcher, probes, store } = this;
    const log = {
      info: () => undefined,
      warn: (_: object, message: string) => void this.warnings.push(message),
    };
    const manifests = new Manifests(this.source, trust, clock, {
      freshnessMinutes: 60,
      reuseMs: 0,
    });
    this.running = runAgent(
      {
        ...{ hostname: 'web-01', controlPlane, manifests, switcher, probes, store, clock, log },
        ...{ random: seededRandom('test'), settings: SETTINGS },
      },
      this.life.signal,
    );
    this.running.catch(() => undefined);
    await settled();
  }

  /** Resolves when the agent ended; rejects as it did. */
  get ended(): Promise<void> {
    return this.running;
  }

  async stop(): Promise<void> {
    this.life.abort();
    await this.running;
  }

  /** Offers the rollout, with a soak that is due `soakMs` from now. */
  async dispatch(soakMs: number, over: Partial<Dispatch> = {}): Promise<void> {
    const now = this.clock.now();
    this.controlPlane.offer({
      ...{ rolloutId: ROLLOUT, targetClosure: target('web-01') },
      ...{ soakDueAt: timeOf(now + soakMs), enqueuedAt: timeOf(now), ...over },
    });
    await settled();
  }
}
