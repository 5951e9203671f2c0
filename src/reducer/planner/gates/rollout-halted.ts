/** Holds every host of a rollout that failed, reverted or ended. */
import { dispatches } from '../../rollout/states.ts';
import { isHalted } from '../../rollout/step-rollout.ts';
import { isCounted } from '../../state/tally.ts';
import { OPEN, type Gate, type Held } from './gate.ts';

export const rolloutHalted: Gate = {
  name: 'rollout-halted',
  keys: ({ rollout }) => (dispatches(rollout.row.state) ? OPEN : ['rollout-halted']),
  explain: ({ rollout }) => {
    const failed = [...rollout.records.values()].filter(isCounted);
    return {
      because: `rollout ${rollout.row.rolloutId} is ${rollout.row.state}${numbers(rollout, failed.length)}`,
      releasedBy: releasedBy(rollout),
      hosts: failed.map((record) => record.hostname),
    };
  },
  since: ({ rollout: { row } }) => row.endedAt ?? row.failedAt,
};

/** The numbers behind a rollout that failed or reverted by itself. */
function numbers({ row }: Held['rollout'], failed: number): string {
  if (!isHalted(row.state)) return '';
  return `: ${String(failed)} of its hosts failed or went back, and ${String(row.plan.maxFailures)} may`;
}

function releasedBy({ row }: Held['rollout']): string {
  if (isHalted(row.state))
    return 'an operator clears the rollout, or a new commit opens its successor';
  return row.supersededBy === null
    ? 'a new commit opens its successor: this release does not open again'
    : 'its successor dispatches this host instead';
}
