/**
 * Holds hosts whose manifest's signature has aged beyond what the channel allows, or beyond what an agent
 * accepts at dispatch: it would refuse, and hold a slot for nothing.
 */
import { millisOf, MINUTE, type Millis, type Time } from '../../time.ts';
import { OPEN, type Gate, type Held } from './gate.ts';
import { isDeclared } from './not-declared.ts';

export const manifestStale: Gate = {
  name: 'manifest-stale',
  keys: (held) => {
    const due = staleAt(held);
    return due !== null && held.now >= due ? ['manifest-stale'] : OPEN;
  },
  explain: (held) => {
    const signedAt = oldestSignature(held);
    return {
      because: `signed at ${signedAt}; good for ${String(windowMinutes(held))} minutes`,
      releasedBy: 'CI signs the manifests again and the next poll finds them',
      hosts: [],
    };
  },
};

/** When the manifest of a rollout goes stale; null when nothing says how long it is good for. */
export function staleAt(held: Pick<Held, 'state' | 'rollout'>): Millis | null {
  const minutes = windowMinutes(held);
  return minutes === null ? null : millisOf(oldestSignature(held)) + (minutes + 1) * MINUTE;
}

function windowMinutes({ state, rollout }: Pick<Held, 'state' | 'rollout'>): number | null {
  const channel = state.channels.get(rollout.row.channel);
  if (channel === undefined || !isDeclared(state, channel.channel)) return null;
  return Math.min(channel.freshnessWindow, state.settings.agentFreshnessMinutes);
}

/** Of the two that a dispatch rests on: the fleet's, and the manifest's. */
export function oldestSignature({ state, rollout }: Pick<Held, 'state' | 'rollout'>): Time {
  const fleet = state.fleet.signedAt ?? rollout.row.signedAt;
  return fleet < rollout.row.signedAt ? fleet : rollout.row.signedAt;
}
