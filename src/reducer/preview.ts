/**
 * "What would happen if …": the very planner that decides, run on the state and then undone row by row. No
 * second opinion, no side effect.
 */
import type { Input, ObservationNeeds, Observed } from './input.ts';
import type { LogEntry, ReduceResult } from './log.ts';
import { everyGate, gatesHolding, gatesOnGranted, heldAt } from './planner/gates.ts';
import { byChannel } from './planner/plan.ts';
import { reasonsIn } from './read/reasons.ts';
import { observationNeeds, reduce } from './reduce.ts';
import { copyDirty } from './state/dirty.ts';
import type { FleetState, RolloutState } from './state/state.ts';
import type { Millis } from './time.ts';

export interface PlanPreview {
  /** Hosts that would be dispatched now, in order. */
  readonly dispatched: readonly { readonly rolloutId: string; readonly hostname: string }[];
  /**
   * By rollout, in the planner's order: every other Pending host, with the gates that would hold it after these grants,
   * those that were granted before as far as their dispatch is suspended; then who is on its way and does not get on.
   */
  readonly blocked: readonly Blocked[];
}

interface Blocked {
  readonly rolloutId: string;
  readonly hostname: string;
  readonly gates: readonly string[];
}

/** What must be looked up and given to `input` as `observed`, that its preview is what the leader would decide. */
export function previewNeeds(
  state: FleetState,
  input: Input,
  now: Millis,
): ObservationNeeds | null {
  return observationNeeds(state, input, now);
}

/** What `input` would become, were it reduced at `now`; the state is as before. */
export function previewInput(state: FleetState, input: Input, now: Millis): ReduceResult {
  return undone(state, () => reduce(state, input, now));
}

/**
 * What would be dispatched now, and what blocks each other host. `observed`: what `previewNeeds` of a Tick asks for;
 * without it nothing is known of offers and of who was heard, and a slot that a Tick would free by them stays taken.
 */
export function planPreview(state: FleetState, now: Millis, observed?: Observed): PlanPreview {
  return undone(state, () => {
    const tick: Input = { kind: 'Tick', ...(observed === undefined ? {} : { observed }) };
    const { entries } = reduce(state, tick, now);
    const at = Math.max(now, state.lastTs);
    return { dispatched: entries.flatMap(grantOf), blocked: blockedHosts(state, at) };
  });
}

function grantOf(entry: LogEntry): { rolloutId: string; hostname: string }[] {
  if (entry.kind !== 'plan_action' || entry.payload['action'] !== 'QueueDispatch') return [];
  if (entry.rolloutId === null || entry.hostname === null) return [];
  return [{ rolloutId: entry.rolloutId, hostname: entry.hostname }];
}

function blockedHosts(state: FleetState, now: Millis): PlanPreview['blocked'] {
  const rollouts = [...state.live.values()].sort(byChannel);
  return rollouts.flatMap((rollout) => [
    ...waitingIn(state, rollout, now),
    ...heldOnTheirWay(state, rollout, now),
  ]);
}

function* waitingIn(state: FleetState, rollout: RolloutState, now: Millis): Iterable<Blocked> {
  const { rolloutId } = rollout.row;
  for (const wave of rollout.waves) {
    for (const hostname of [...wave.pending].sort()) {
      const held = heldAt(state, rolloutId, hostname, now);
      if (held === null) continue;
      const gates = rollout.dispatches.has(hostname)
        ? [...(rollout.blockers.get(hostname)?.gates ?? []), ...gatesOnGranted(held)]
        : everyGate(held, gatesHolding(held));
      if (gates.length > 0) yield { rolloutId, hostname, gates };
    }
  }
}

function* heldOnTheirWay(state: FleetState, rollout: RolloutState, now: Millis): Iterable<Blocked> {
  const reasonsOf = reasonsIn(state, rollout, now);
  for (const hostname of [...rollout.moving].sort()) {
    const record = rollout.records.get(hostname);
    const noted = rollout.blockers.get(hostname);
    const gates = record === undefined ? [] : reasonsOf(record, noted).map(({ key }) => key);
    if (gates.length > 0) yield { rolloutId: rollout.row.rolloutId, hostname, gates };
  }
}

/** Reduces for good when `keep` likes what `input` became; else the state is as before. */
export function reduceIf(
  state: FleetState,
  input: Input,
  now: Millis,
  keep: (result: ReduceResult) => boolean,
): ReduceResult {
  return undone(state, () => reduce(state, input, now), keep);
}

function undone<T>(state: FleetState, act: () => T, keep: (result: T) => boolean = () => false): T {
  const { headSeq, lastTs, dirty, content, manifests, gatedBy, gatesOf } = state;
  const { fleetSize, fleetReachable } = state;
  state.dirty = copyDirty(dirty);
  const undo: (() => void)[] = [];
  state.undo = undo;
  let kept = false;
  try {
    const result = act();
    kept = keep(result);
    return result;
  } finally {
    state.undo = null;
    if (!kept) {
      for (const restore of undo.reverse()) restore();
      Object.assign(state, { headSeq, lastTs, dirty, content, manifests, gatedBy, gatesOf });
      Object.assign(state, { fleetSize, fleetReachable });
    }
  }
}
