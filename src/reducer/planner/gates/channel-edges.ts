/** Holds a channel while a channel that gates it has declared a release that is not Terminal yet. */
import { isOpen } from '../../host/record.ts';
import { hasEnded } from '../../rollout/states.ts';
import { isUnderway } from '../../rollout/step-rollout.ts';
import { OPEN, type Gate, type Held } from './gate.ts';

export const channelEdges: Gate = {
  name: 'channel-edges',
  keys: (held) => {
    // A set: an edge that is declared twice holds once.
    const keys = new Set<string>();
    for (const edge of held.state.content?.channelEdges ?? []) {
      if (edge.gated === held.record.channel && pending(held, edge.gates) !== null) {
        keys.add(`channel-edges:${edge.gates}`);
      }
    }
    return keys.size === 0 ? OPEN : [...keys];
  },
  explain: (held, subject) => {
    const because = pending(held, subject) ?? `channel ${subject} has nothing outstanding`;
    const first = inFront(held, subject);
    const hosts = unfinished(held, subject);
    return {
      because: [
        first === null ? because : `${because}: it waits its turn behind ${first}`,
        ...(hosts.length === 0 ? [] : [`hosts not through: ${String(hosts.length)}`]),
        ...(held.state.channels.get(subject)?.pause ? [`channel ${subject} is paused`] : []),
      ].join('; '),
      releasedBy: isOver(held, subject)
        ? `a new commit opens a rollout on channel ${subject}, and that becomes Terminal`
        : `the rollout of channel ${subject} becomes Terminal`,
      hosts,
    };
  },
};

/** What it declares has ended, and opens nothing any more. */
function isOver({ state }: Held, gating: string): boolean {
  const ref = state.channels.get(gating)?.declaredRef ?? '';
  const rollout = state.rollouts.get(`${gating}@${ref}`);
  return rollout !== undefined && hasEnded(rollout.row.state);
}

/** finish-first: the rollout that what it declares waits for; null: it waits for none. */
function inFront({ state }: Held, gating: string): string | null {
  const { waitingRef, currentRolloutId } = state.channels.get(gating) ?? {};
  return waitingRef == null ? null : (currentRolloutId ?? null);
}

/** The hosts for which the gating rollout still waits, or the one in front of it. */
function unfinished(held: Held, gating: string): string[] {
  const { state } = held;
  const ref = state.channels.get(gating)?.declaredRef ?? '';
  const rollout = state.rollouts.get(inFront(held, gating) ?? `${gating}@${ref}`);
  if (rollout === undefined || !isUnderway(rollout.row.state)) return [];
  const open = [...rollout.records.values()].filter(isOpen);
  return open.map((record) => record.hostname);
}

/** Why `gating` is not through with its verified manifest; null when it is, or has none. */
function pending({ state }: Held, gating: string): string | null {
  const channel = state.channels.get(gating);
  if (channel === undefined || channel.declaredRef === null || channel.manifestHash === null)
    return null;
  const id = `${gating}@${channel.declaredRef}`;
  const rollout = state.rollouts.get(id);
  if (rollout === undefined) return `rollout ${id} is not opened`;
  // Not one that was pruned, either: it was superseded before, and what superseded it may be on its way.
  const { state: stands } = rollout.row;
  return stands === 'Terminal' ? null : `rollout ${id} is ${stands}`;
}
