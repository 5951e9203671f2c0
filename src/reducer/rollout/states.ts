/** The states of a rollout and what each means to others. */
export const ROLLOUT_STATES = [
  'Opening',
  'Active',
  'Converging',
  'Terminal',
  'Reverted',
  'Failed',
  'Superseded',
  'Cancelled',
  'Pruned',
] as const;
export type RolloutState = (typeof ROLLOUT_STATES)[number];

/** Superseded, Cancelled or Pruned: late host events are recorded on the host only. */
export function hasEnded(state: RolloutState): boolean {
  return state === 'Superseded' || state === 'Cancelled' || state === 'Pruned';
}

/** May still hand out dispatches (a Terminal rollout serves returning hosts). */
export function dispatches(state: RolloutState): boolean {
  return (
    state === 'Opening' || state === 'Active' || state === 'Converging' || state === 'Terminal'
  );
}
