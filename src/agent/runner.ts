/**
 * Carries a host through a rollout: switch, soak, and back again if it must. Each event is stepped and made
 * durable by the journal first; the effects that `step` returns are then done here, in their order.
 *
 * One rollout at a time. A newer one ends the soak of an older one, but waits for a switch that is running:
 * two switches at once would leave nobody knowing what the host runs.
 *
 * After a restart nothing is switched again. A record left in Activating means that the switch unit ran, or
 * may have: wait until none runs, look at what the host runs now, and report that. One left in Pending means
 * that no DispatchAck was made, so that nothing ran and the control plane still offers it: it is begun anew
 * when it is offered again, and not before, since the offer may have been taken back meanwhile.
 */
import type { HostEvent } from '../reducer/host/events.ts';
import type { HostRecord } from '../reducer/host/record.ts';
import type { StepEffect } from '../reducer/host/step.ts';
import { timeOf, type Millis } from '../reducer/time.ts';
import { ended, type Clock } from './clock.ts';
import type { Snapshot } from './control-plane.ts';
import type { AgentLog, Probes, Switcher, SwitchOutcome } from './hooks.ts';
import type { Journal } from './journal.ts';
import type { Warranted } from './manifests.ts';
import { soak, type SoakSettings, type Unnumbered } from './soak.ts';

/**
 * What the control plane and the manifests said so long ago is asked again: a switch that had to end first may take an hour,
 * and the dispatch may have been taken back meanwhile. A replica offers it again after as long.
 */
const STALE_MS = 30_000;

export interface RunnerSettings extends SoakSettings {
  /** How often a host that waits for its reboot looks whether it happened. */
  readonly rebootCheckMs: Millis;
}

export interface RunnerParts {
  readonly journal: Journal;
  readonly switcher: Switcher;
  readonly probes: Probes;
  readonly clock: Clock;
  readonly log: AgentLog;
  readonly settings: RunnerSettings;
}

export class Runner {
  private readonly parts: RunnerParts;
  private readonly life: AbortSignal;
  private readonly crash: (error: unknown) => void;
  private superseded = new AbortController();
  private task: Promise<void> = Promise.resolve();
  /** The rollout that `task` carries; null when it is at rest. */
  private carried: string | null = null;
  private turn: Promise<void> = Promise.resolve();

  /** `life` ends when the agent ends. `crash` hears of a journal that could not be written. */
  constructor(parts: RunnerParts, life: AbortSignal, crash: (error: unknown) => void) {
    this.parts = parts;
    this.life = life;
    this.crash = crash;
  }

  /** Resolves when nothing is under way. */
  get idle(): Promise<void> {
    return this.task;
  }

  /** True once its DispatchAck, and with it the switch, was made or is on its way: there must be no other. */
  hasTaken(rolloutId: string): boolean {
    const record = this.parts.journal.record(rolloutId);
    return record !== null && (record.state !== 'Pending' || this.carried === rolloutId);
  }

  /**
   * Takes a rollout on from its beginning, or leaves it to be offered again. The manifest has already said that this host
   * belongs in it.
   */
  accept(snapshot: Snapshot, warrant: Warranted): Promise<void> {
    return this.inTurn(async () => {
      if (this.hasTaken(snapshot.rolloutId)) return;
      await this.begin(snapshot, warrant, (id) => this.acknowledge(id));
    });
  }

  /**
   * Goes on with a rollout that only the control plane remembers. Only an agent without a record of its own
   * believes in one: what it wrote itself is always newer.
   */
  adopt(snapshot: Snapshot, warrant: Warranted): Promise<void> {
    return this.inTurn(async () => {
      if (this.parts.journal.current !== null) return;
      const { rolloutId, state } = snapshot;
      this.parts.log.info(
        { rolloutId, state },
        'taking up a rollout that the control plane remembers',
      );
      await this.begin(snapshot, warrant, (id) => this.pickUp(id));
    });
  }

  /** Goes on where an earlier life of this agent stopped. */
  resume(): void {
    const record = this.parts.journal.current;
    if (record !== null) this.start(record.rolloutId, (id) => this.pickUp(id));
  }

  /** One beginning at a time: what it looked at before must still hold when its line is written. */
  private inTurn(work: () => Promise<void>): Promise<void> {
    const result = this.turn.then(work);
    this.turn = result.catch(() => undefined);
    return result;
  }

  private async begin(
    snapshot: Snapshot,
    warrant: Warranted,
    first: (id: string) => Promise<void>,
  ): Promise<void> {
    const { clock, journal, log } = this.parts;
    const asked = clock.now();
    const state = journal.current?.state;
    const isSwitching = state === 'Activating' || state === 'Failed';
    this.superseded.abort();
    await this.task;
    if (this.life.aborted) return;
    this.superseded = new AbortController();
    if (isSwitching && clock.now() - asked > STALE_MS) {
      const { rolloutId } = snapshot;
      log.info(
        { rolloutId },
        'had to wait for a switch: asking again whether this is still wanted',
      );
      this.goOn();
      return;
    }
    await journal.open(snapshot, warrant.wave, warrant.policy);
    this.start(snapshot.rolloutId, first);
  }

  /** Whatever the newest rollout still has to do after its switch. */
  private goOn(): void {
    const record = this.parts.journal.current;
    if (record !== null) this.start(record.rolloutId, () => Promise.resolve());
  }

  private start(id: string, first: (id: string) => Promise<void>): void {
    this.carried = id;
    this.task = this.carry(id, first)
      .catch(this.crash)
      .finally(() => (this.carried = null));
  }

  private async acknowledge(id: string): Promise<void> {
    const currentClosureAtDispatch = await this.parts.switcher.currentClosure();
    // An agent that has ended leaves the beginning to its next life.
    if (this.life.aborted) return;
    await this.emit(id, {
      kind: 'DispatchAck',
      currentClosureAtDispatch,
      receivedAt: this.now(),
    });
  }

  private async carry(id: string, first: (id: string) => Promise<void>): Promise<void> {
    const signal = AbortSignal.any([this.life, this.superseded.signal]);
    await first(id);
    while (!ended(signal) && this.record(id).state === 'Deferred') {
      await this.parts.clock.sleep(this.parts.settings.rebootCheckMs, signal);
      if (!ended(signal)) await this.seeReboot(id);
    }
    if (ended(signal) || this.record(id).state !== 'Soaking') return;
    const { clock, probes, switcher, settings } = this.parts;
    await soak(
      {
        ...{ clock, probes, switcher, settings },
        policy: this.parts.journal.policy(id),
        record: () => this.record(id),
        emit: (event) => this.emit(id, event),
      },
      signal,
    );
  }

  /** What a record that was left in the middle needs first. */
  private async pickUp(id: string): Promise<void> {
    const record = this.record(id);
    if (record.closed !== null) return;
    switch (record.state) {
      case 'Activating':
        return this.inspectSwitch(id);
      case 'Deferred':
        return this.seeReboot(id);
      case 'Failed':
        return this.finishRollback(id);
      case 'Pending':
      case 'Soaking':
      case 'Converged':
      case 'Reverted':
        return;
    }
  }

  private async inspectSwitch(id: string): Promise<void> {
    await this.parts.switcher.awaitIdle(this.life);
    if (this.life.aborted) return;
    await this.reportSwitch(id, await this.whatCameOf(this.record(id).targetClosure));
  }

  /** Of a switch that ended while nobody looked. */
  private async whatCameOf(target: string): Promise<SwitchOutcome> {
    const { switcher } = this.parts;
    const closure = await switcher.currentClosure();
    if (closure === target) return { kind: 'completed', observedClosure: closure };
    if ((await switcher.stagedClosure()) === target)
      return { kind: 'deferred', component: 'unknown' };
    return {
      kind: 'failed',
      exitCode: 1,
      stderrTail: `the agent restarted during the switch; afterwards the host runs ${closure}`,
    };
  }

  private async seeReboot(id: string): Promise<void> {
    const observedClosure = await this.parts.switcher.currentClosure();
    if (observedClosure !== this.record(id).targetClosure) return;
    await this.reportSwitch(id, { kind: 'completed', observedClosure });
  }

  /**
   * The rollback may have run, wholly, half or not at all: it is done again. That its closure runs proves nothing: a switch
   * that failed, or waits for a reboot, leaves it running and another one to be booted.
   */
  private async finishRollback(id: string): Promise<void> {
    const { policyApplied, currentClosureAtDispatch: prior } = this.record(id);
    if (policyApplied !== 'rollback-and-halt' || prior === null || prior === '') return;
    await this.parts.switcher.awaitIdle(this.life);
    if (!this.life.aborted) await this.rollBack(id, prior);
  }

  /** Makes an event, then does what follows from it. A refusal by our own `step` is said and skipped. */
  private async emit(id: string, event: Unnumbered): Promise<void> {
    const stepped = await this.parts.journal.make(id, (seq): HostEvent => ({ ...event, seq }));
    if (!stepped.ok) {
      this.parts.log.warn(
        { rolloutId: id, kind: event.kind, code: stepped.code, detail: stepped.detail },
        'event not made',
      );
      return;
    }
    for (const effect of stepped.effects) await this.perform(id, effect);
  }

  private async perform(id: string, effect: StepEffect): Promise<void> {
    switch (effect.kind) {
      case 'PostEvent': // the journal is the outbox: it is already on its way
      case 'ResetProbes': // the record holds what probes said, and `step` has emptied it
      case 'Quarantine': // the control plane's business
        return;
      case 'FireSwitch':
        return this.fireSwitch(id, effect.closure);
      case 'FireRollback':
        return this.rollBack(id, effect.closure);
    }
  }

  private async fireSwitch(id: string, closure: string): Promise<void> {
    const { switcher } = this.parts;
    await this.emit(id, {
      kind: 'ActivationStarted',
      startedAt: this.now(),
      switchMethod: switcher.method,
    });
    const outcome = await switcher.activate(closure, this.life);
    // Our own end is not the switch's: the next life looks at what became of it.
    if (!this.life.aborted) await this.reportSwitch(id, outcome);
  }

  private async reportSwitch(id: string, outcome: SwitchOutcome): Promise<void> {
    const at = this.now();
    switch (outcome.kind) {
      case 'completed':
        return this.emit(id, {
          kind: 'ActivationCompleted',
          observedCurrentClosure: outcome.observedClosure,
          exitCode: 0,
          completedAt: at,
        });
      case 'failed': {
        const { exitCode, stderrTail } = outcome;
        return this.emit(id, { kind: 'ActivationFailed', exitCode, stderrTail, failedAt: at });
      }
      case 'deferred':
        return this.emit(id, {
          kind: 'ActivationDeferred',
          component: outcome.component,
          deferredAt: at,
        });
    }
  }

  private async rollBack(id: string, closure: string): Promise<void> {
    const outcome = await this.parts.switcher.activate(closure, this.life);
    if (this.life.aborted) return;
    await this.emit(id, {
      kind: 'RollbackComplete',
      revertedToClosure: outcome.kind === 'completed' ? outcome.observedClosure : closure,
      exitCode: rollbackExit(outcome),
      completedAt: this.now(),
    });
  }

  private record(id: string): HostRecord {
    const record = this.parts.journal.record(id);
    if (record === null) throw new Error(`the journal holds no rollout ${id}`);
    return record;
  }

  private now(): string {
    return timeOf(this.parts.clock.now());
  }
}

/** A rollback that waits for a reboot has not happened: it is reported as failed, and again after the reboot. */
function rollbackExit(outcome: SwitchOutcome): number {
  switch (outcome.kind) {
    case 'completed':
      return 0;
    case 'failed':
      return outcome.exitCode === 0 ? 1 : outcome.exitCode;
    case 'deferred':
      return 1;
  }
}
