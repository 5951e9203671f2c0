/** One seed: a fleet, its control plane, everything that happens to them, and whether all came right. */
import type { JournalLine } from '../../src/agent/journal.ts';
import { COMMAND_NAMES, commandAbout, type CommandName } from '../../src/wire/command.ts';
import type { OperatorCommand } from '../../src/reducer/input.ts';
import type { Millis } from '../../src/reducer/time.ts';
import type { BreakName } from './breaks.ts';
import { Checker } from './checker.ts';
import { Database, type Backup } from './database.ts';
import { Faults, type FaultCounts, type FaultKind, type TimedKind } from './faults.ts';
import { runLeader } from './leader.ts';
import { Machine } from './machine.ts';
import { Network, type Server } from './network.ts';
import { driftedByForgotten, setRight, whatIsWrong } from './outcome.ts';
import { Process, type World } from './process.ts';
import { Release } from './release.ts';
import { Replica } from './replica.ts';
import { EPOCH, Scheduler } from './scheduler.ts';
import { Trace } from './trace.ts';
import { runWorkers } from './workers.ts';

export interface Options {
  readonly without?: ReadonlySet<FaultKind>;
  readonly breaks?: ReadonlySet<BreakName>;
  /** Keep every line of the trace. */
  readonly keepAll?: boolean;
}

export interface Outcome {
  readonly seed: number;
  readonly steps: number;
  readonly faults: FaultCounts;
  readonly kinds: ReadonlySet<FaultKind>;
  readonly violations: readonly string[];
  readonly hash: string;
  readonly trace: Trace;
  /** Virtual. */
  readonly tookMs: Millis;
}

const MINUTE = 60_000;
/** The time in which things go wrong. */
const TROUBLE_MS = 18 * MINUTE;
/** Then faults end; longer than every grace together: what is not right by then never will be. */
const PATIENCE_MS = 5 * 60 * MINUTE;
const RESIGN_MS = 10 * MINUTE;
const LOOK_MS = 30_000;

export async function simulate(seed: number, options: Options = {}): Promise<Outcome> {
  const simulation = new Simulation(seed, options);
  await simulation.run();
  return simulation.outcome();
}

class Simulation implements World {
  readonly scheduler = new Scheduler();
  readonly faults: Faults;
  readonly trace: Trace;
  readonly db: Database;
  readonly release: Release;
  readonly machines: readonly Machine[];
  readonly checker: Checker;
  private readonly network: Network;
  private servers: Server[] = [];
  private births = 0;
  private hasPushedAgain = false;
  private backup: Backup | null = null;
  private readonly seed: number;
  private isOver = false;

  constructor(seed: number, options: Options) {
    this.seed = seed;
    this.faults = new Faults(seed, options.without ?? new Set());
    this.trace = new Trace(this.scheduler, options.keepAll ?? false);
    this.db = new Database(this.scheduler, this.faults, options.breaks ?? new Set());
    this.checker = new Checker(this.db);
    this.release = new Release((what) => this.faults.random(what));
    this.network = new Network(this, () => this.servers);
    this.machines = this.release.hosts.map(
      (name) => new Machine(this, this.network, this.release, name),
    );
  }

  outcome(): Outcome {
    const { seed, faults, checker, trace, scheduler } = this;
    return {
      ...{ seed, trace, steps: scheduler.steps, faults: faults.counts, kinds: faults.kinds },
      ...{ violations: checker.violations, hash: trace.hash, tookMs: scheduler.now - EPOCH },
    };
  }

  async run(): Promise<void> {
    this.begin();
    const isBroken = () => this.checker.violations.length > 0;
    await this.scheduler.run(EPOCH + TROUBLE_MS, isBroken);
    if (isBroken()) return;
    this.endFaults();
    this.look();
    const until = this.scheduler.now + PATIENCE_MS;
    await this.scheduler.run(until, () => this.isOver || isBroken());
    if (isBroken()) return;
    if (!this.isOver) for (const wrong of this.wrong()) this.checker.note(`liveness: ${wrong}`);
    this.checker.compareAll();
  }

  private begin(): void {
    this.release.next(this.scheduler.now);
    this.resign();
    for (const name of ['a', 'b']) this.startProcess(name);
    for (const machine of this.machines) {
      machine.onSwitch = (closure) => this.checkSwitch(machine, closure);
      machine.onLine = (line) => {
        this.checker.mirror.written(machine.hostname, line, this.scheduler.now);
        this.checkRollback(machine, line);
      };
      machine.start();
    }
    for (const kind of TIMED) {
      for (const at of this.faults.times(kind, TROUBLE_MS)) {
        this.scheduler.after(at, () => this.strike(kind));
      }
    }
  }

  /** An agent runs what its signed manifests name, or goes back to what it ran. */
  private checkSwitch(machine: Machine, closure: string): void {
    const isNamed = this.release.hasSigned(machine.hostname, closure) || machine.hasRun(closure);
    if (!isNamed)
      this.checker.note(`signed: ${machine.hostname} runs ${closure}, which nobody signed`);
  }

  /** Who says that it went back has gone back. One of v0.2 may not know: it says what its switch said. */
  private checkRollback({ isOld, hostname, closure }: Machine, line: JournalLine): void {
    if (isOld || line.t !== 'event' || line.event.kind !== 'RollbackComplete') return;
    const { exitCode, revertedToClosure } = line.event;
    if (exitCode === 0 && closure !== revertedToClosure)
      this.checker.note(
        `rollback: ${hostname} runs ${closure}, not ${revertedToClosure}, as it says`,
      );
  }

  private resign(): void {
    this.scheduler.after(RESIGN_MS, () => {
      this.release.sign(this.scheduler.now);
      this.resign();
    });
  }

  private startProcess(name: string): void {
    this.births += 1;
    const process = new Process(this, `${name}.${String(this.births)}`);
    const replica = new Replica(process, (input) => this.checker.accepted(input));
    this.servers.push({ process, replica });
    const fail = (error: unknown): void => {
      this.checker.note(
        `thrown: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      );
    };
    runLeader(process).catch(fail);
    runWorkers(process, this.release.source, this.release.trustFile).catch(fail);
    this.watch(name, process);
  }

  /** Whoever runs processes starts a dead one again. */
  private watch(name: string, process: Process): void {
    process.onCrash = () => {
      this.servers = this.servers.filter((server) => server.process !== process);
      this.scheduler.after(1_000 + 8_000 * process.random(), () => this.startProcess(name));
    };
  }

  private strike(kind: TimedKind): void {
    const { faults, trace } = this;
    const process = faults.pick(kind, this.servers)?.process;
    const machine = faults.pick(kind, this.machines);
    if (process === undefined || machine === undefined) return;
    if (this.isFelt(kind, machine)) faults.count(kind);
    const chance = faults.chance(kind);
    trace.say('fault', `${kind} ${process.name} ${machine.hostname}`);
    switch (kind) {
      case 'process-crash':
        return process.crash();
      case 'process-frozen':
        return process.freeze(1_000 + 40_000 * chance);
      case 'leader-clock-stepped':
        process.clockOffset = (chance - 0.5) * 10 * MINUTE;
        return;
      case 'agent-crash':
        return machine.crashAgent(chance < 0.5 ? 2_000 : 90_000 * chance);
      case 'agent-reboot':
        return machine.reboot(5_000 + 60_000 * chance);
      case 'journal-lost':
        return machine.loseJournal(chance < 0.5 ? 2_000 : 240_000 * chance);
      case 'agent-clock-stepped':
        machine.clockOffset = (chance - 0.5) * 8 * MINUTE;
        return;
      case 'agent-offline':
        return this.goOffline(machine, chance);
      case 'balancer-away':
        this.network.awayUntil = this.scheduler.now + MINUTE + 50 * MINUTE * chance ** 2;
        return;
      case 'new-ref':
        return this.release.next(this.scheduler.now);
      case 'trust-changed':
        return this.changeTrust(chance);
      case 'rollout-retired':
      case 'operator-command':
      case 'poison-input':
        return this.send(kind, machine);
      case 'database-away':
      case 'database-restored':
      case 'presence-lost':
        return this.strikeDatabase(kind, chance);
    }
  }

  /** Whether there is anything to strike; a restore counts once it is made. */
  private isFelt(kind: TimedKind, machine: Machine): boolean {
    if (kind === 'agent-crash') return machine.isUp;
    if (kind === 'presence-lost') return this.db.presence.size > 0;
    if (kind === 'rollout-retired') return this.db.data.tables.rollouts.size > 0;
    return kind !== 'database-restored';
  }

  private goOffline(machine: Machine, chance: number): void {
    machine.isOnline = false;
    this.scheduler.after(10_000 + 20 * MINUTE * chance ** 2, () => {
      machine.isOnline = true;
    });
  }

  private changeTrust(chance: number): void {
    this.release.rejectBefore(this.scheduler.now);
    this.scheduler.after(60_000 * chance, () => this.release.sign(this.scheduler.now + 1));
  }

  private strikeDatabase(
    kind: 'database-away' | 'database-restored' | 'presence-lost',
    chance: number,
  ): void {
    const { db, scheduler } = this;
    switch (kind) {
      case 'presence-lost':
        db.presence.clear();
        return;
      case 'database-away':
        this.stopDatabase(2_000 + 90_000 * chance);
        return;
      case 'database-restored': {
        this.backup = db.backup();
        // Down long enough for every request of before to have been answered.
        scheduler.after(20_000 + 5 * MINUTE * chance, () => {
          this.stopDatabase(30_000);
          scheduler.after(25_000, () => this.restore());
        });
      }
    }
  }

  /** What stops it for longer is not ended by what stops it for less. */
  private stopDatabase(ms: Millis): void {
    this.db.awayUntil = Math.max(this.db.awayUntil, this.scheduler.now + ms);
  }

  private restore(): void {
    // None is made when faults have ended meanwhile: a database in use is never replaced by an older one.
    if (this.backup === null) return;
    this.trace.say(
      'fault',
      `restored to seq ${String(this.backup.log.length)} from ${String(this.db.headSeq)}`,
    );
    this.db.restore(this.backup);
    this.faults.count('database-restored');
    this.checker.restored();
  }

  /** Straight into the queue, as some replica would have put it there. */
  private send(
    kind: 'rollout-retired' | 'operator-command' | 'poison-input',
    machine: Machine,
  ): void {
    const { faults, db } = this;
    const { hostname } = machine;
    const rolloutId = faults.pick(kind, [...db.data.tables.rollouts.keys()]) ?? 'none@0';
    const payload =
      kind === 'rollout-retired'
        ? { kind: 'RetentionExpired', rolloutId }
        : kind === 'poison-input'
          ? (faults.pick(kind, POISON) ?? {})
          : {
              ...{ kind: 'OperatorCommand', actor: 'op', reason: 'sim', expectedSeq: null },
              command: this.command(hostname, rolloutId),
            };
    const row = {
      kind: 'kind' in payload ? String(payload.kind) : 'Unknown',
      hostname: null,
      rolloutId: null,
    };
    this.trace.say('fault', `sends ${JSON.stringify(payload)}`);
    db.insert({ ...row, payload: JSON.stringify(payload) }, 'cli').catch(() => undefined);
  }

  private command(hostname: string, rolloutId: string): OperatorCommand {
    const { faults, release, db } = this;
    const channel = faults.pick('operator-command', release.channels)?.name ?? '';
    const [quarantined] = db.data.tables.quarantines.values();
    // A dispatch is seldom there to be taken back: it is tried twice as often.
    // Tokens touch nothing of the fleet's: drawing them would only draw less of the rest.
    const fleets = COMMAND_NAMES.filter((name) => !name.endsWith('Token'));
    const names: readonly CommandName[] = [...fleets, 'WithdrawDispatch'];
    const name = faults.pick('operator-command', names) ?? 'PauseFleet';
    const subject = { rolloutId, hostname, channel, closure: 'none' };
    return commandAbout(
      name,
      name === 'ClearQuarantine' ? { ...subject, ...quarantined } : subject,
    );
  }

  /** From here on nothing goes wrong, and a last commit says where everybody is to end. */
  private endFaults(): void {
    this.trace.say('fault', 'no more');
    this.faults.isOn = false;
    this.backup = null;
    this.db.awayUntil = 0;
    for (const { process } of this.servers) process.clockOffset = 0;
    for (const machine of this.machines) {
      machine.isOnline = true;
      machine.clockOffset = 0;
      if (!machine.isUp) machine.start();
      else if (machine.waitsForReboot) machine.reboot(5_000);
    }
    this.release.next(this.scheduler.now, true);
  }

  /** Looks now and then whether all is right, and does what an operator would do about what is not. */
  private look(): void {
    this.scheduler.after(LOOK_MS, () => {
      if (this.wrong().length === 0) {
        this.isOver = true;
        return;
      }
      for (const machine of this.machines) if (machine.waitsForReboot) machine.reboot(5_000);
      this.pushAgain();
      for (const command of setRight(this.db)) {
        const payload = {
          kind: 'OperatorCommand',
          actor: 'op',
          reason: 'sim',
          expectedSeq: null,
          command,
        };
        const row = { kind: payload.kind, hostname: null, rolloutId: null };
        this.trace.say('operator', JSON.stringify(command));
        this.db.insert({ ...row, payload: JSON.stringify(payload) }, 'cli').catch(() => undefined);
      }
      this.look();
    });
  }

  /** Once, and only in a run that forgets rollouts, by a restored database or as history: nothing else may need it. */
  private pushAgain(): void {
    const forgets = FORGET.some((kind) => this.faults.kinds.has(kind));
    if (this.hasPushedAgain || !forgets) return;
    const drifted = driftedByForgotten(this.db, this.release, this.machines);
    if (drifted.length === 0) return;
    this.hasPushedAgain = true;
    this.trace.say('operator', `pushes a commit: ${drifted.join(' ')} run what is forgotten`);
    this.release.next(this.scheduler.now, true);
  }

  private wrong(): string[] {
    return whatIsWrong(this.db, this.release, this.machines);
  }
}

const FORGET: readonly FaultKind[] = ['database-restored', 'rollout-retired'];

const TIMED: readonly TimedKind[] = [
  ...(['process-crash', 'process-frozen', 'database-away', 'database-restored'] as const),
  ...(['presence-lost', 'leader-clock-stepped', 'agent-crash', 'agent-reboot'] as const),
  ...(['journal-lost', 'agent-offline', 'agent-clock-stepped', 'poison-input'] as const),
  ...([
    'operator-command',
    'trust-changed',
    'rollout-retired',
    'balancer-away',
    'new-ref',
  ] as const),
];

/** What a newer or broken process could have left in the queue. */
const POISON: readonly object[] = [
  { kind: 'Nonsense' },
  { kind: 'HostReport', hostname: 7 },
  { kind: 'AgentEvent', hostname: 'x', rolloutId: 'y@1', event: { kind: 'DispatchAck' } },
  { kind: 'ManifestSetUpdated', fleetHash: 'nowhere', manifests: [] },
  {},
];
