/**
 * Says at intervals that the host is there, what it runs and how far its reports got, and does what the
 * answer asks for: events again from some seq on (the control plane lost them), or a record that this agent
 * lost.
 */
import { timeOf, type Millis } from '../reducer/time.ts';
import { jittered, type Clock, type Random } from './clock.ts';
import type { ControlPlane, Heartbeat, Snapshot } from './control-plane.ts';
import type { AgentLog, Switcher } from './hooks.ts';
import type { Journal } from './journal.ts';

export const AGENT_VERSION = 'muster-agent/0.1.0';

export interface HeartbeatParts {
  readonly hostname: string;
  readonly journal: Journal;
  readonly controlPlane: ControlPlane;
  readonly switcher: Switcher;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: AgentLog;
  readonly intervalMs: Millis;
  /** The first one comes at a random moment within this time, so that a fleet does not start as one. */
  readonly firstWithinMs: Millis;
  /** The control plane remembers a rollout that this agent does not. */
  adopt(snapshot: Snapshot): Promise<void>;
}

/** Runs until `signal` aborts. */
export async function runHeartbeats(parts: HeartbeatParts, signal: AbortSignal): Promise<void> {
  const startedAt = parts.clock.now();
  await parts.clock.sleep(parts.firstWithinMs * parts.random(), signal);
  while (!signal.aborted) {
    const answer = await parts.controlPlane.heartbeat(await compose(parts, startedAt), signal);
    if (answer.kind === 'heard') {
      if (answer.replayFrom !== null) replay(parts, answer.replayFrom);
      for (const snapshot of answer.bootstrap) await parts.adopt(snapshot);
      await parts.clock.sleep(parts.intervalMs, signal);
    } else {
      // A lost heartbeat is soon repeated: three in a row make the host count as unreachable.
      const wait = jittered(parts.intervalMs / 3, parts.random);
      await parts.clock.sleep(Math.max(wait, answer.retryAfterMs ?? 0), signal);
    }
  }
}

function replay(parts: HeartbeatParts, from: number): void {
  const events = parts.journal.replay(from);
  parts.log.info({ from, events }, 'the control plane asked for events again');
}

async function compose(parts: HeartbeatParts, startedAt: Millis): Promise<Heartbeat> {
  const now = parts.clock.now();
  const closure = await parts.switcher.currentClosure();
  const named = namedRollout(parts.journal, closure);
  return {
    hostname: parts.hostname,
    ...(named === null ? {} : { rollout_id: named }),
    current_closure: closure,
    at: timeOf(now),
    agent_version: AGENT_VERSION,
    uptime_secs: Math.floor((now - startedAt) / 1000),
    last_event_seq_by_rollout: parts.journal.statedSeqs(),
  };
}

/**
 * Naming a rollout claims that the control plane's record of it should show this very closure. That holds
 * once the record says so and everything that led to it was delivered; while switching it does not.
 */
function namedRollout(journal: Journal, closure: string): string | null {
  const record = journal.current;
  if (record === null || record.currentClosure !== closure || journal.unsent !== null) return null;
  return record.rolloutId;
}
