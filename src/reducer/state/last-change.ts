/**
 * The seq that last changed what a command acts on. `expectedSeq` is compared with it, and it is the `seq` that
 * answers name: whoever was shown that number has seen all that the command will touch. A host's or a rollout's own
 * row is only a part of it: a write-off closes records, a clear sets failures aside.
 */
import { isHalted } from '../rollout/step-rollout.ts';
import type { FleetState, RolloutState } from './state.ts';
import { isCounted } from './tally.ts';

/** Of the rollout and, while it is halted, of the failures that a clear would set aside (in SQL: `db/rollouts.ts`). */
export function lastChangeOfRollout({ row, records }: RolloutState): number {
  let seq = row.seq;
  if (!isHalted(row.state)) return seq;
  for (const record of records.values()) if (isCounted(record)) seq = Math.max(seq, record.seq);
  return seq;
}

/** Of the host, its records and its dispatches; 0: never heard of. */
export function lastChangeOfHost({ hosts, rollouts }: FleetState, hostname: string): number {
  const host = hosts.get(hostname);
  let seq = host?.row.seq ?? 0;
  for (const id of host?.rollouts ?? []) {
    const { records, dispatches } = rollouts.get(id) ?? {};
    seq = Math.max(seq, records?.get(hostname)?.seq ?? 0, dispatches?.get(hostname)?.seq ?? 0);
  }
  return seq;
}
