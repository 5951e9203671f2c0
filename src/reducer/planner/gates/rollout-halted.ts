/** Holds every host of a rollout that failed, reverted or ended. */
import { dispatches } from '../../rollout/states.ts';
import { OPEN, type Gate, type Held } from './gate.ts';

export const rolloutHalted: Gate = {
  name: 'rollout-halted',
  keys: ({ rollout }) => (dispatches(rollout.row.state) ? OPEN : ['rollout-halted']),
  explain: ({ rollout }) => ({
    because: `rollout ${rollout.row.rolloutId} is ${rollout.row.state}${failures(rollout)}`,
    releasedBy:
      rollout.row.state === 'Failed' || rollout.row.state === 'Reverted'
        ? 'an operator clears the rollout, or a new commit opens its successor'
        : 'its successor dispatches this host instead',
    hosts: [...rollout.records.values()]
      .filter(({ state }) => fell(state))
      .map((record) => record.hostname),
  }),
};

/** The numbers behind a rollout that failed or reverted by itself. */
function failures({ row, records }: Held['rollout']): string {
  if (row.state !== 'Failed' && row.state !== 'Reverted') return '';
  const failed = [...records.values()].filter(({ state, cleared }) => fell(state) && !cleared);
  return `: ${String(failed.length)} of its hosts failed or went back, and ${String(row.plan.maxFailures)} may`;
}

function fell(state: string): boolean {
  return state === 'Failed' || state === 'Reverted';
}
