/**
 * The names of states as they cross the wire. The core has them as values too, but the wire takes only its
 * types; `satisfies` in both directions keeps the lists the same.
 */
import type { HostState } from '../reducer/host/record.ts';
import type { RolloutState } from '../reducer/rollout/states.ts';

const HOST_STATES = {
  Pending: 'Pending',
  Activating: 'Activating',
  Deferred: 'Deferred',
  Soaking: 'Soaking',
  Converged: 'Converged',
  Failed: 'Failed',
  Reverted: 'Reverted',
} as const satisfies { readonly [S in HostState]: S };

const ROLLOUT_STATES = {
  Opening: 'Opening',
  Active: 'Active',
  Converging: 'Converging',
  Terminal: 'Terminal',
  Reverted: 'Reverted',
  Failed: 'Failed',
  Superseded: 'Superseded',
  Cancelled: 'Cancelled',
  Pruned: 'Pruned',
} as const satisfies { readonly [S in RolloutState]: S };

/** In the order a host goes through them. */
export const HOST_STATE_NAMES: readonly HostState[] = Object.values(HOST_STATES);
/** As they are counted and listed: a closed record is `closed`, whatever state it was in. */
export const LISTED_STATES: readonly (HostState | 'closed')[] = [...HOST_STATE_NAMES, 'closed'];
export const ROLLOUT_STATE_NAMES: readonly RolloutState[] = Object.values(ROLLOUT_STATES);
/** Whether a host is heard; `never`: it has not said a word. */
export const REACHABILITIES = ['never', 'reachable', 'unreachable'] as const;
