/** Holds every host of a rollout that failed, reverted or ended. */
import { dispatches } from '../../rollout/states.ts';
import { isHalted } from '../../rollout/step-rollout.ts';
import { isCounted } from '../../state/tally.ts';
import { OPEN, type Gate, type Held } from './gate.ts';

export const rolloutHalted: Gate = {
  name: 'rollout-halted',
  // A successor may have some of its hosts only.
  isPersonal: ({ row }) => row.supersededBy !== null,
  keys: ({ rollout }) => (dispatches(rollout.row.state) ? OPEN : ['rollout-halted']),
  explain: (held) => {
    const { rollout } = held;
    const failed = [...rollout.records.values()].filter(isCounted);
    return {
      because: `rollout ${rollout.row.rolloutId} is ${rollout.row.state}${numbers(rollout, failed.length)}`,
      releasedBy: releasedBy(held),
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

function releasedBy(held: Held): string {
  const { row } = held.rollout;
  if (isHalted(row.state))
    return 'an operator clears the rollout, or a new commit opens its successor';
  if (row.supersededBy === null)
    return 'a new commit opens its successor: this release does not open again';
  return isTakenOver(held)
    ? 'its successor dispatches this host instead'
    : `a rollout that has this host opens: none that superseded this one on channel ${row.channel} has`;
}

/** Whether one that came after it has the host, too. */
function isTakenOver({ state, rollout, record }: Held): boolean {
  let { supersededBy: next } = rollout.row;
  while (next !== null) {
    const successor = state.rollouts.get(next);
    if (successor?.records.has(record.hostname) === true) return true;
    next = successor?.row.supersededBy ?? null;
  }
  return false;
}
