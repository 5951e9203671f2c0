/** Holds every host of a rollout that failed, reverted or ended. */
import { dispatches } from '../../rollout/states.ts';
import { EXPLAIN_HOSTS, OPEN, type Gate } from './gate.ts';

export const rolloutHalted: Gate = {
  name: 'rollout-halted',
  keys: ({ rollout }) => (dispatches(rollout.row.state) ? OPEN : ['rollout-halted']),
  explain: ({ rollout }) => ({
    because: `rollout ${rollout.row.rolloutId} is ${rollout.row.state}`,
    releasedBy:
      rollout.row.state === 'Failed' || rollout.row.state === 'Reverted'
        ? 'an operator clears the rollout, or a new commit opens its successor'
        : 'its successor dispatches this host instead',
    hosts: [...rollout.records.values()]
      .filter((record) => record.state === 'Failed' || record.state === 'Reverted')
      .map((record) => record.hostname)
      .sort()
      .slice(0, EXPLAIN_HOSTS),
  }),
};
