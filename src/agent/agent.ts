/**
 * One host's agent: four loops around one journal. The outbox posts, heartbeats report, the long poll waits
 * for work, the runner does it. They share nothing but the journal, so each may wait without holding up the
 * others.
 *
 * Failure behaviour: whatever the network does is answered by retrying. A journal that cannot be written
 * ends the agent, with the error: it must not act on what it could forget.
 */
import type { Millis } from '../reducer/time.ts';
import type { Clock, Random } from './clock.ts';
import type { ControlPlane, Snapshot } from './control-plane.ts';
import { runDispatches } from './dispatches.ts';
import { runHeartbeats } from './heartbeats.ts';
import type { AgentLog, Probes, Switcher } from './hooks.ts';
import { Journal, type JournalStore } from './journal.ts';
import type { Manifests, Warranted } from './manifests.ts';
import { runOutbox } from './outbox.ts';
import { Runner, type RunnerSettings } from './runner.ts';

export interface AgentSettings extends RunnerSettings {
  readonly heartbeatMs: Millis;
  readonly firstHeartbeatWithinMs: Millis;
}

/** What the field uses. */
export const DEFAULT_SETTINGS: AgentSettings = {
  // The protocol's interval; three missed ones make a host unreachable.
  heartbeatMs: 60_000,
  // A fleet that comes back from a power cut spreads its first words over as long.
  firstHeartbeatWithinMs: 5_000,
  // Twice a minute notices trouble within a soak of a few minutes and costs a host nothing.
  probeIntervalMs: 30_000,
  // Two rounds of probes: one failure may be a restart.
  sustainedFailureMs: 60_000,
  rebootCheckMs: 60_000,
};

export interface AgentParts {
  readonly hostname: string;
  readonly controlPlane: ControlPlane;
  readonly manifests: Manifests;
  readonly switcher: Switcher;
  readonly probes: Probes;
  readonly store: JournalStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: AgentLog;
  readonly settings: AgentSettings;
}

/** Runs until `signal` aborts; rejects only if the journal fails. */
export async function runAgent(parts: AgentParts, signal: AbortSignal): Promise<void> {
  const { settings, ...shared } = parts;
  const journal = await Journal.load(parts.store);
  const crash = new AbortController();
  const life = AbortSignal.any([signal, crash.signal]);
  const runner = new Runner({ ...shared, journal, settings }, life, (error) => crash.abort(error));
  runner.resume();
  const loops = [
    runOutbox({ ...shared, journal }, life),
    runDispatches(
      {
        ...{ ...shared, journal },
        hasTaken: (rolloutId) => runner.hasTaken(rolloutId),
        accept: (snapshot, warrant) => runner.accept(snapshot, warrant),
      },
      life,
    ),
    runHeartbeats(
      {
        ...{ ...shared, journal },
        intervalMs: settings.heartbeatMs,
        firstWithinMs: settings.firstHeartbeatWithinMs,
        adopt: (snapshot) => adopt(parts, journal, runner, snapshot, life),
      },
      life,
    ),
  ];
  for (const loop of loops) loop.catch((error: unknown) => crash.abort(error));
  await Promise.allSettled(loops);
  await runner.idle;
  if (crash.signal.aborted) throw crash.signal.reason;
}

async function adopt(
  parts: AgentParts,
  journal: Journal,
  runner: Runner,
  snapshot: Snapshot,
  signal: AbortSignal,
): Promise<void> {
  if (journal.current !== null || snapshot.hostname !== parts.hostname) return;
  const warrant = await warrantFor(parts, snapshot, signal);
  if (warrant !== null) await runner.adopt(snapshot, warrant);
}

async function warrantFor(
  parts: AgentParts,
  snapshot: Snapshot,
  signal: AbortSignal,
): Promise<Warranted | null> {
  const found = await parts.manifests.warrant(snapshot.rolloutId, parts.hostname, signal);
  if (found.ok && found.warrant.targetClosure === snapshot.targetClosure) return found.warrant;
  const why = found.ok
    ? 'the signed manifest names another closure'
    : `${found.reason}: ${found.detail}`;
  parts.log.warn({ rolloutId: snapshot.rolloutId, why }, 'snapshot refused');
  return null;
}
