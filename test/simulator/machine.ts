/**
 * One host: a machine that switches, defers, reboots and fails as its seed says, and the agent on it, which
 * is the real one or one that behaves as NixFleet v0.2 does. The switch is a unit of its own and outlives
 * the agent; a disk outlives the machine's reboot, less what was not synced.
 */
import { runAgent, DEFAULT_SETTINGS } from '../../src/agent/agent.ts';
import type { Clock, Random } from '../../src/agent/clock.ts';
import type { ControlPlane } from '../../src/agent/control-plane.ts';
import { artifactsOver, controlPlaneOver } from '../../src/agent/http-control-plane.ts';
import type {
  AgentLog,
  ProbeObservation,
  Probes,
  Switcher,
  SwitchOutcome,
} from '../../src/agent/hooks.ts';
import type { JournalLine, JournalStore } from '../../src/agent/journal.ts';
import { Manifests } from '../../src/agent/manifests.ts';
import type { DeclaredProbe, HostEvent } from '../../src/reducer/host/events.ts';
import { millisOf, timeOf, type Millis } from '../../src/reducer/time.ts';
import { Disk } from './disk.ts';
import type { Network } from './network.ts';
import { runOldAgent } from './old-agent.ts';
import type { World } from './process.ts';
import { errorOf } from './scheduler.ts';
import { TRUST, type Release } from './release.ts';

const PROBES: readonly DeclaredProbe[] = [
  { probeName: 'service-up', kind: 'systemd', mode: 'enforce' },
  { probeName: 'disk-space', kind: 'exec', mode: 'observe' },
  { probeName: 'baseline', kind: 'evidence', mode: 'observe' },
];
/** Of the evidence: one that counts, and one that does not. */
const CONTROLS = [
  { framework: 'simulated', controlId: 'kernel', effectiveMode: 'enforce' },
  { framework: 'simulated', controlId: 'motd', effectiveMode: 'observe' },
] as const;
const NOTHING: AgentLog = { info: () => undefined, warn: () => undefined };
/** As in the field: an agent refuses a manifest that was signed longer ago. */
const FRESHNESS_MINUTES = 60;

/** The longest that half a switch takes. Few are so slow that heartbeats come in the middle of it, and soaks end. */
const SWITCH_MS = 20_000;
const SLOW_MS = 400_000;
const SLOW = 0.1;
/** The share of deferred switches that are followed by a reboot of the host's own accord, and how late it comes. */
const REBOOTS = 0.4;
const REBOOT_MS = 600_000;

const DAY_MS = 24 * 60 * 60_000;

interface Unit {
  readonly target: string;
  readonly ended: Promise<SwitchOutcome>;
}

/** One life of an agent process: once over, nothing of it goes on. */
export class Life {
  isOver = false;

  guard<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      promise.then(
        (value) => {
          if (!this.isOver) resolve(value);
        },
        (error: unknown) => {
          if (!this.isOver) reject(errorOf(error));
        },
      );
    });
  }
}

export class Machine {
  readonly hostname: string;
  readonly isOld: boolean;
  closure: string;
  isOnline = true;
  clockOffset: Millis = 0;
  /** What a reboot, and no switch, brought it to last. */
  bootedInto: string | null = null;
  /** Told of each closure that this host is about to run. */
  onSwitch: (closure: string) => void = () => undefined;
  /** Told of each line that is in its journal for good. */
  onLine: (line: JournalLine) => void = () => undefined;
  private readonly world: World;
  private readonly network: Network;
  private readonly original: string;
  private readonly random: Random;
  private readonly ran = new Set<string>();
  private disk: Disk;
  private unit: Unit | null = null;
  private staged: string | null = null;
  private life: Life | null = null;
  private boots = 0;
  /** What it runs for good: a switch that has not ended does not count. */
  private committed: string;

  constructor(world: World, network: Network, release: Release, hostname: string) {
    this.world = world;
    this.network = network;
    this.hostname = hostname;
    this.disk = new Disk(hostname);
    this.original = release.before(hostname);
    this.closure = this.original;
    this.committed = this.closure;
    this.ran.add(this.closure);
    this.random = world.faults.random(`machine/${hostname}`);
    this.isOld = world.faults.meets('agent-v0.2', hostname);
    if (this.isOld) world.faults.count('agent-v0.2');
  }

  hasRun(closure: string): boolean {
    return this.ran.has(closure);
  }

  get isUp(): boolean {
    return this.life !== null;
  }

  start(): void {
    const life = new Life();
    this.life = life;
    this.world.trace.say(this.hostname, `agent starts on ${this.closure}`);
    const carrier = this.network.carrier(this.hostname, () => this.isOnline);
    const clock = this.clockOf(life);
    const parts = {
      hostname: this.hostname,
      controlPlane: this.guarded(life, controlPlaneOver(carrier, this.hostname)),
      manifests: new Manifests(artifactsOver(carrier), TRUST, clock, {
        ...{ freshnessMinutes: FRESHNESS_MINUTES, reuseMs: 1_000 },
      }),
      switcher: this.switcherOf(life),
      probes: this.probesOf(life),
      store: this.storeOf(life),
      ...{ clock, random: this.random, log: NOTHING, settings: DEFAULT_SETTINGS },
    };
    const signal = new AbortController().signal;
    const running = this.isOld
      ? runOldAgent({ ...parts, carrier, world: this.world, life, tells: this.tells }, signal)
      : runAgent(parts, signal);
    running.catch((error: unknown) => {
      this.world.db.onPoison(`agent of ${this.hostname}: ${String(error)}`);
    });
  }

  /** The agent dies, and is started again a little later. */
  crashAgent(downMs: Millis): void {
    if (this.life === null) return;
    this.world.trace.say(this.hostname, 'agent crashes');
    this.life.isOver = true;
    this.life = null;
    this.world.scheduler.after(downMs, () => {
      if (this.life === null) this.start();
    });
  }

  /** Power off and on: a switch that was running is lost, one that waited for this is in force. */
  reboot(downMs: Millis): void {
    this.crashAgent(downMs);
    this.world.trace.say(this.hostname, 'reboots');
    this.disk.losePower();
    this.unit = null;
    this.boots += 1;
    // What was half switched comes up as it was before.
    this.closure = this.staged ?? this.committed;
    this.become(this.closure);
    if (this.staged !== null) this.bootedInto = this.staged;
    this.staged = null;
  }

  loseJournal(downMs: Millis): void {
    this.crashAgent(downMs);
    this.world.trace.say(this.hostname, 'loses its journal');
    this.disk = new Disk(this.hostname);
  }

  /** Not in the middle of a later switch: a v0.2 agent would never speak of that one again. */
  get waitsForReboot(): boolean {
    return this.staged !== null && this.unit === null;
  }

  private become(closure: string): void {
    this.closure = closure;
    this.committed = closure;
    this.ran.add(closure);
  }

  private clockOf(life: Life): Clock {
    const { scheduler } = this.world;
    return {
      now: () => scheduler.now + this.clockOffset,
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          if (signal.aborted) return resolve();
          const done = (): void => {
            cancel();
            signal.removeEventListener('abort', done);
            if (!life.isOver) resolve();
          };
          const cancel = scheduler.after(ms, done);
          signal.addEventListener('abort', done, { once: true });
        }),
    };
  }

  private guarded(life: Life, real: ControlPlane): ControlPlane {
    const { trace } = this.world;
    return {
      postEvent: async (rolloutId, event, signal) => {
        const delivery = await life.guard(real.postEvent(rolloutId, event, signal));
        const about = `${rolloutId} ${event.kind} ${String(event.seq)}`;
        trace.say(this.hostname, `posted ${about}: ${delivery.kind}`);
        const forged = delivery.kind === 'accepted' ? this.tooSoon(event) : null;
        if (forged !== null) await life.guard(real.postEvent(rolloutId, forged, signal));
        return delivery;
      },
      heartbeat: (body, signal) => {
        const said = this.tells(body.current_closure);
        return life.guard(real.heartbeat({ ...body, current_closure: said }, signal));
      },
      dispatch: (signal) => life.guard(real.dispatch(signal)),
    };
  }

  /** What a heartbeat says of the closure that runs. */
  private readonly tells = <T extends string | null>(runs: T): T | string => {
    const { faults } = this.world;
    if (!faults.strikes('heartbeat-lies')) return runs;
    return faults.chance('heartbeat-lies') < 0.6 ? this.target : 'junk';
  };

  private get target(): string {
    return this.disk.opened?.targetClosure ?? 'junk';
  }

  /**
   * A broken agent claims to be through right after it said that an enforced probe fails, and long after its soak:
   * nothing but that probe stands in its way. Not where a backup may forget what the probe said.
   */
  private tooSoon(event: HostEvent): HostEvent | null {
    const { faults } = this.world;
    if (event.kind !== 'ProbeResult' || event.mode !== 'enforce' || event.status === 'pass')
      return null;
    if (faults.kinds.has('database-restored') || !faults.strikes('converged-too-soon')) return null;
    const convergedAt = timeOf(millisOf(event.observedAt) + DAY_MS);
    return { kind: 'Converged', seq: event.seq + 1, convergedAt, currentClosure: this.target };
  }

  private storeOf(life: Life): JournalStore {
    // Another one is no business of what this life still has under way.
    const { disk } = this;
    return {
      load: () => life.guard(Promise.resolve(disk.load())),
      append: (line, durable) => {
        if (durable) return life.guard(this.appendDurably(life, disk, line));
        this.write(disk, line, false);
        return life.guard(Promise.resolve());
      },
    };
  }

  private write(disk: Disk, line: JournalLine, durable: boolean): void {
    disk.write(line, durable);
    this.onLine(line);
  }

  /** Now and then its host dies in the middle, with some bytes or all of the line on disk, or right after it. */
  private appendDurably(life: Life, disk: Disk, line: JournalLine): Promise<void> {
    const { scheduler, faults } = this.world;
    const kind = 'journal-torn';
    const tears = faults.strikes(kind)
      ? { at: faults.chance(kind), share: faults.chance(kind) }
      : null;
    return new Promise((resolve) => {
      if (tears !== null && tears.at < 0.6) {
        scheduler.after(1, () => {
          if (life.isOver) return;
          if (tears.at < 0.3) disk.tear(line, tears.share);
          else this.write(disk, line, true);
          this.die(life);
        });
        return;
      }
      scheduler.after(2, () => {
        if (life.isOver) return;
        this.write(disk, line, true);
        resolve();
        // What follows is begun, written or on its way.
        if (tears !== null) scheduler.after(1 + 30 * tears.share ** 2, () => this.die(life));
      });
    });
  }

  private die(life: Life): void {
    const { faults } = this.world;
    if (life !== this.life || !faults.isOn) return;
    const downMs = 2_000 + 60_000 * faults.chance('journal-torn') ** 2;
    if (faults.chance('journal-torn') < 0.3) this.reboot(downMs);
    else this.crashAgent(downMs);
  }

  private switcherOf(life: Life): Switcher {
    const { world } = this;
    return {
      method: 'simulated',
      currentClosure: () => life.guard(Promise.resolve(this.closure)),
      stagedClosure: () => life.guard(Promise.resolve(this.staged)),
      activate: (closure) => life.guard(this.activate(life, closure)),
      awaitIdle: () =>
        life.guard(this.unit?.ended.then(() => undefined) ?? world.scheduler.sleep(0)),
    };
  }

  private async activate(life: Life, target: string): Promise<SwitchOutcome> {
    if (this.unit !== null) await this.unit.ended;
    if (life.isOver) throw new Error('the agent that waited is gone, and begins nothing');
    this.onSwitch(target);
    const unit = { target, ended: this.runUnit(target) };
    this.unit = unit;
    const outcome = await unit.ended;
    if (this.unit === unit) this.unit = null;
    return outcome;
  }

  /** A host shows its target before its switch has succeeded. */
  private async runUnit(target: string): Promise<SwitchOutcome> {
    const { scheduler, trace } = this.world;
    const prior = this.closure;
    const boot = this.boots;
    const most = this.random() < SLOW ? SLOW_MS : SWITCH_MS;
    const half = 500 + most * this.random() ** 3;
    await scheduler.sleep(half);
    if (boot !== this.boots) return { kind: 'failed', exitCode: 137, stderrTail: 'rebooted' };
    if (this.suffers('switch-deferred', target)) {
      this.staged = target;
      if (this.random() < REBOOTS) this.rebootLater(target);
      return { kind: 'deferred', component: 'kernel' };
    }
    this.closure = target;
    await scheduler.sleep(half);
    if (boot !== this.boots) return { kind: 'failed', exitCode: 137, stderrTail: 'rebooted' };
    const isBack = this.hasRun(target);
    const fails = this.suffers(isBack ? 'rollback-fails' : 'switch-fails', target);
    if (fails) {
      this.closure = prior;
      trace.say(this.hostname, `switch to ${target} failed`);
      return { kind: 'failed', exitCode: 4, stderrTail: `simulated: ${target}` };
    }
    // A later switch is what the machine will boot into.
    this.staged = null;
    this.become(target);
    trace.say(this.hostname, `runs ${target}`);
    return { kind: 'completed', observedClosure: target };
  }

  private rebootLater(target: string): void {
    this.world.scheduler.after(1_000 + REBOOT_MS * this.random() ** 2, () => {
      if (this.waitsForReboot && this.staged === target) this.reboot(5_000);
    });
  }

  private suffers(
    kind: 'switch-deferred' | 'switch-fails' | 'rollback-fails' | 'probe-fails',
    closure: string,
  ): boolean {
    const { faults } = this.world;
    if (!faults.isOn || (closure === this.original && kind !== 'rollback-fails')) return false;
    const is = faults.meets(kind, `${this.hostname}/${closure}`);
    if (is) faults.count(kind);
    return is;
  }

  private probesOf(life: Life): Probes {
    const { faults } = this.world;
    return {
      declared: PROBES,
      run: async (probe) => {
        await life.guard(Promise.resolve());
        if (probe.kind === 'evidence') return this.evidence();
        const isBad =
          faults.strikes('probe-flaps') ||
          (probe.mode === 'enforce' && this.suffers('probe-fails', this.closure));
        return isBad ? { status: 'fail', failureReason: 'simulated' } : { status: 'pass' };
      },
    };
  }

  private evidence(): ProbeObservation {
    const { faults } = this.world;
    const subResults = CONTROLS.map((control) => {
      const about = `${this.hostname}/${this.closure}/${control.controlId}`;
      const isBad = faults.isOn && faults.meets('probe-fails', about);
      return { ...control, status: isBad ? ('fail' as const) : ('pass' as const) };
    });
    const isBad = subResults.some(({ status }) => status === 'fail');
    return { status: isBad ? 'fail' : 'pass', subResults };
  }
}
