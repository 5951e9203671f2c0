/**
 * An agent that behaves as NixFleet v0.2's does, as far as the protocol document tells: it deletes an event
 * only on 2xx and else repeats that one every 15 s; its heartbeats name no rollout and no seqs; it ignores
 * Replay-From, takes every snapshot over what it has, and says nothing of a rollback that failed or of a
 * switch that its own restart met. Its disk is the real journal: records are records.
 */
import type { AgentParts } from '../../src/agent/agent.ts';
import type { Dispatch, Snapshot } from '../../src/agent/control-plane.ts';
import { readObject, readSnapshots } from '../../src/agent/answers.ts';
import type { Carrier } from '../../src/agent/http-control-plane.ts';
import { Journal } from '../../src/agent/journal.ts';
import type { HostEvent } from '../../src/reducer/host/events.ts';
import { soak, type Unnumbered } from '../../src/agent/soak.ts';
import { timeOf, type Millis } from '../../src/reducer/time.ts';
import type { Life } from './machine.ts';
import type { World } from './process.ts';

export interface OldAgentParts extends AgentParts {
  readonly carrier: Carrier;
  readonly world: World;
  readonly life: Life;
  /** What its heartbeat says of the closure that runs. */
  readonly tells: (runs: string) => string;
}

const RETRY_MS = 15_000;
const HEARTBEAT_MS = 60_000;

export async function runOldAgent(parts: OldAgentParts, signal: AbortSignal): Promise<void> {
  const agent = new OldAgent(parts, await Journal.load(parts.store), signal);
  agent.resume();
  await Promise.all([agent.post(), agent.heartbeat(), agent.poll()]);
}

class OldAgent {
  private readonly parts: OldAgentParts;
  private readonly journal: Journal;
  private readonly signal: AbortSignal;
  private soaking = new AbortController();

  constructor(parts: OldAgentParts, journal: Journal, signal: AbortSignal) {
    this.parts = parts;
    this.journal = journal;
    this.signal = signal;
  }

  /** A soak goes on; of a switch or a rollback that the restart met, nothing is said. */
  resume(): void {
    if (this.journal.current?.state === 'Soaking') this.soak();
  }

  async post(): Promise<void> {
    const { carrier, life, hostname, clock, world } = this.parts;
    for (;;) {
      const entry = this.journal.unsent;
      if (entry === null) {
        await this.journal.changed(this.signal);
        continue;
      }
      const { rolloutId, event } = entry;
      const body = { hostname, rolloutId, event };
      const call = { method: 'POST', path: '/v1/agent/events', body } as const;
      const reply = await life.guard(carrier.short(call, this.signal));
      const isDone = reply.kind === 'reply' && reply.status >= 200 && reply.status < 300;
      const status = reply.kind === 'reply' ? String(reply.status) : reply.reason;
      world.trace.say(
        hostname,
        `posted (v0.2) ${rolloutId} ${event.kind} ${String(event.seq)}: ${status}`,
      );
      if (isDone) await this.journal.settle(entry, 'accepted');
      else await clock.sleep(RETRY_MS, this.signal);
    }
  }

  async heartbeat(): Promise<void> {
    const { carrier, life, hostname, clock, switcher, random, tells } = this.parts;
    const began = clock.now();
    await clock.sleep(5_000 * random(), this.signal);
    for (;;) {
      const body = {
        hostname,
        current_closure: tells(await switcher.currentClosure()),
        at: timeOf(clock.now()),
        agent_version: 'nixfleet-agent/0.2',
        uptime_secs: Math.max(0, Math.floor((clock.now() - began) / 1_000)),
      };
      const call = { method: 'POST', path: '/v1/agent/heartbeat', body } as const;
      const reply = await life.guard(carrier.short(call, this.signal));
      const answer = reply.kind === 'reply' ? readObject(reply.body.toString('utf8')) : null;
      if (answer !== null)
        for (const snapshot of readSnapshots(answer)) await this.takeOver(snapshot);
      await clock.sleep(HEARTBEAT_MS, this.signal);
    }
  }

  async poll(): Promise<void> {
    const { controlPlane, clock, manifests, hostname } = this.parts;
    for (;;) {
      const answer = await controlPlane.dispatch(this.signal);
      if (answer.kind === 'trouble') await clock.sleep(RETRY_MS, this.signal);
      if (answer.kind !== 'dispatch') continue;
      const { dispatch } = answer;
      const known = this.journal.record(dispatch.rolloutId);
      if (known !== null && known.state !== 'Pending') continue;
      const found = await manifests.warrant(dispatch.rolloutId, hostname, this.signal);
      if (!found.ok || found.warrant.targetClosure !== dispatch.targetClosure) continue;
      await this.begin(dispatch, found.warrant);
    }
  }

  private async begin(
    dispatch: Dispatch,
    {
      channel,
      wave,
      policy,
    }: { channel: string; wave: number; policy: 'halt' | 'rollback-and-halt' },
  ): Promise<void> {
    const { hostname, clock, switcher } = this.parts;
    const { rolloutId, targetClosure, soakDueAt } = dispatch;
    this.soaking.abort();
    const dispatchedAt = this.now();
    const state = 'Pending';
    const snapshot = {
      rolloutId,
      hostname,
      channel,
      state,
      targetClosure,
      soakDueAt,
      dispatchedAt,
      lastEventSeq: 0,
    } as const;
    await this.journal.open(snapshot, wave, policy);
    const currentClosureAtDispatch = await switcher.currentClosure();
    await this.emit(rolloutId, {
      kind: 'DispatchAck',
      currentClosureAtDispatch,
      receivedAt: timeOf(clock.now()),
    });
    await this.switch(rolloutId, targetClosure);
  }

  private async switch(id: string, target: string): Promise<void> {
    const { switcher } = this.parts;
    await this.emit(id, {
      kind: 'ActivationStarted',
      startedAt: this.now(),
      switchMethod: 'switch',
    });
    const outcome = await switcher.activate(target, this.signal);
    if (outcome.kind === 'completed') {
      const { observedClosure } = outcome;
      await this.emit(id, {
        kind: 'ActivationCompleted',
        observedCurrentClosure: observedClosure,
        exitCode: 0,
        completedAt: this.now(),
      });
      this.soak();
    } else if (outcome.kind === 'deferred') {
      await this.emit(id, {
        kind: 'ActivationDeferred',
        component: outcome.component,
        deferredAt: this.now(),
      });
    } else {
      const { exitCode, stderrTail } = outcome;
      await this.emit(id, { kind: 'ActivationFailed', exitCode, stderrTail, failedAt: this.now() });
    }
  }

  /** Makes an event and carries out a rollback that follows from it; one that fails is not reported. */
  private async emit(id: string, event: Unnumbered): Promise<void> {
    const { switcher } = this.parts;
    const made = await this.journal.make(id, (seq): HostEvent => ({ ...event, seq }));
    if (!made.ok) return;
    for (const effect of made.effects) {
      if (effect.kind !== 'FireRollback') continue;
      const outcome = await switcher.activate(effect.closure, this.signal);
      if (outcome.kind !== 'completed') continue;
      const revertedToClosure = outcome.observedClosure;
      await this.emit(id, {
        kind: 'RollbackComplete',
        revertedToClosure,
        exitCode: 0,
        completedAt: this.now(),
      });
    }
  }

  /** Whatever it had when the answer came: a snapshot replaces it. What it begins meanwhile is newer. */
  private async takeOver(snapshot: Snapshot): Promise<void> {
    const { manifests, hostname, world } = this.parts;
    const had = this.journal.current?.rolloutId;
    const found = await manifests.warrant(snapshot.rolloutId, hostname, this.signal);
    if (!found.ok || this.journal.current?.rolloutId !== had) return;
    this.soaking.abort();
    await this.journal.open(snapshot, found.warrant.wave, found.warrant.policy);
    if (snapshot.state !== 'Soaking') return;
    this.soak();
    if (!world.faults.strikes('late-completion')) return;
    await this.parts.clock.sleep(5_000, this.signal);
    await this.completeLate(snapshot);
  }

  /** The switch that it had forgotten ends after all, while it already soaks. */
  private async completeLate(snapshot: Snapshot): Promise<void> {
    const record = this.journal.record(snapshot.rolloutId);
    const closure = await this.parts.switcher.currentClosure();
    if (record?.state !== 'Soaking' || closure !== record.targetClosure) return;
    this.soaking.abort();
    const { lastEventSeq } = record;
    await this.journal.open(
      { ...snapshot, state: 'Activating', lastEventSeq },
      record.wave,
      this.journal.policy(record.rolloutId),
    );
    await this.emit(record.rolloutId, {
      ...{ kind: 'ActivationCompleted', observedCurrentClosure: closure },
      ...{ exitCode: 0, completedAt: this.now() },
    });
    this.soak();
  }

  private soak(): void {
    const id = this.journal.current?.rolloutId;
    if (id === undefined) return;
    // Of two for one rollout, a snapshot's and the switch's, only the last would be known to whoever ends it.
    this.soaking.abort();
    this.soaking = new AbortController();
    const { clock, probes, switcher, settings, world, hostname } = this.parts;
    const record = () => {
      const found = this.journal.record(id);
      if (found === null) throw new Error(`the journal holds no rollout ${id}`);
      return found;
    };
    const policy = this.journal.policy(id);
    soak(
      { clock, probes, switcher, settings, policy, record, emit: (event) => this.emit(id, event) },
      this.soaking.signal,
    ).catch((error: unknown) => {
      world.db.onPoison(`agent (v0.2) of ${hostname}: ${String(error)}`);
    });
  }

  private now(): string {
    return timeOf(this.parts.clock.now() satisfies Millis);
  }
}
