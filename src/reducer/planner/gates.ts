/**
 * All gates, in the order in which they are shown. A host is held by every one that answers; budgets are
 * asked last, and only for a host that nothing else holds.
 */
import { channelEdges } from './gates/channel-edges.ts';
import { complianceBeyond, complianceWave } from './gates/compliance-wave.ts';
import { disruptionBudget, fullBudgets } from './gates/disruption-budget.ts';
import { listed, type Braked, type Explanation, type Gate, type Held } from './gates/gate.ts';
import { hostBusy } from './gates/host-busy.ts';
import { hostEdge } from './gates/host-edge.ts';
import { hostHold } from './gates/host-hold.ts';
import { hostUnreachable } from './gates/host-unreachable.ts';
import { hostUnstaged } from './gates/host-unstaged.ts';
import { manifestRejected } from './gates/manifest-rejected.ts';
import { manifestStale } from './gates/manifest-stale.ts';
import { notDeclared } from './gates/not-declared.ts';
import { paused } from './gates/paused.ts';
import { quarantine } from './gates/quarantine.ts';
import { rolloutHalted } from './gates/rollout-halted.ts';
import { wavePromotion } from './gates/wave-promotion.ts';
import { hasEnded } from '../rollout/states.ts';
import type { FleetState, RolloutState } from '../state/state.ts';
import type { Millis, Time } from '../time.ts';

const GATES: readonly Gate[] = [
  rolloutHalted,
  paused,
  hostHold,
  hostUnreachable,
  hostBusy,
  notDeclared,
  manifestStale,
  manifestRejected,
  quarantine,
  channelEdges,
  wavePromotion,
  hostUnstaged,
  hostEdge,
  complianceWave,
];

/** The keys of every gate that holds this host, sorted; empty when it may be dispatched now. */
export function gatesHolding(held: Held): readonly string[] {
  // History waits for nothing: what else would hold it is no news to anyone.
  if (hasEnded(held.rollout.row.state)) return rolloutHalted.keys(held);
  let keys: string[] | null = null;
  for (const gate of GATES) {
    const found = gate.keys(held);
    if (found.length > 0) (keys ??= []).push(...found);
  }
  return keys === null ? disruptionBudget.keys(held) : keys.sort();
}

/**
 * For whoever asks why: also every full budget, of a host that something else holds too, and failures of earlier waves,
 * of one that waits for its wave. The planner notes a budget only where it alone decides, and one of several: each host
 * waits in one queue; and those failures only where the wave has come.
 */
export function everyGate(held: Held, noted: readonly string[]): readonly string[] {
  if (hasEnded(held.rollout.row.state) || held.rollout.dispatches.has(held.record.hostname))
    return noted;
  const others = [...fullBudgets(held), ...complianceBeyond(held)].filter(
    (key) => !noted.includes(key),
  );
  return others.length === 0 ? noted : [...noted, ...others].sort();
}

/**
 * For whoever asks why a dispatch that was granted is not offered: of `withdraw.ts`'s reasons, those that gates tell. None
 * while it is offered.
 */
export function gatesOnGranted(held: Held): readonly string[] {
  if (held.rollout.dispatches.get(held.record.hostname)?.suspended !== true) return [];
  return [rolloutHalted, paused, hostHold, notDeclared, manifestRejected, quarantine].flatMap(
    (gate) => gate.keys(held),
  );
}

export interface Braking extends Explanation {
  readonly key: string;
  readonly since: Time | null;
}

/** What an operator stopped that would hold this host's next dispatch too, whatever it has now. */
export function brakesOn(held: Braked): readonly Braking[] {
  return [paused, hostHold].flatMap((brake) =>
    brake.keys(held).map((key) => {
      const [, subject = ''] = key.split(':', 2);
      const said = listed(brake.explain(held, subject));
      return { gate: brake.name, key, since: brake.since(held, subject), ...said };
    }),
  );
}

/** The numbers and hosts behind one gate key of one host; null for a key or host that is unknown. */
export function explain(
  state: FleetState,
  at: { readonly rolloutId: string; readonly hostname: string },
  key: string,
  now: Millis,
): Explanation | null {
  const colon = key.indexOf(':');
  const gate = gateOf(key);
  const held = heldAt(state, at.rolloutId, at.hostname, now);
  if (gate === undefined || held === null) return null;
  return { gate: gate.name, ...listed(gate.explain(held, colon < 0 ? '' : key.slice(colon + 1))) };
}

/** Since when a gate holds that was not noted of the host; null for a key of no gate, or where no row tells. */
export function sinceByRows(held: Held, key: string): Time | null {
  const [, subject = ''] = key.split(':', 2);
  return gateOf(key)?.since?.(held, subject) ?? null;
}

/** Whether all hosts of a rollout that this key holds are held for one reason; a key of no gate is a remark on one host. */
export function isShared(key: string, rollout: RolloutState): boolean {
  const gate = gateOf(key);
  return gate !== undefined && gate.isPersonal?.(rollout) !== true;
}

function gateOf(key: string): Gate | undefined {
  const [name] = key.split(':', 1);
  return [...GATES, disruptionBudget].find((candidate) => candidate.name === name);
}

export function heldAt(
  state: FleetState,
  rolloutId: string,
  hostname: string,
  now: Millis,
): Held | null {
  const rollout = state.rollouts.get(rolloutId);
  const record = rollout?.records.get(hostname);
  if (rollout === undefined || record === undefined) return null;
  return { state, rollout, record, host: state.hosts.get(hostname), now };
}
