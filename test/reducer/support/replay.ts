/** Running a recorded trace again: folded, restored half-way, or decided afresh. */
import type { FleetContent, ManifestContent } from '../../../src/reducer/content.ts';
import type { Input } from '../../../src/reducer/input.ts';
import type { LogEntry } from '../../../src/reducer/log.ts';
import { foldEntry } from '../../../src/reducer/state/apply.ts';
import { dump, restore, setContent } from '../../../src/reducer/state/rows-io.ts';
import {
  absentSince,
  emptyState,
  type FleetState,
  type StateRows,
} from '../../../src/reducer/state/state.ts';

export interface ContentInForce {
  readonly fleet: FleetContent;
  readonly manifests: readonly ManifestContent[];
}

/** The state that the log alone describes. Time is the log rows' own column, so it is given. */
export function fold(entries: readonly LogEntry[], lastTs: number): FleetState {
  const state = emptyState();
  for (const entry of entries) foldEntry(state, entry);
  state.lastTs = lastTs;
  return state;
}

/** As at a takeover: the rows are read back, last first (no table keeps an order), the set in force is put under them. */
export function takenOver(state: FleetState, content: ContentInForce | null): FleetState {
  const restored = restore(backwards(structuredClone(dump(state))), state.settings);
  if (content !== null) setContent(restored, content.fleet, content.manifests);
  return restored;
}

function backwards(rows: StateRows): StateRows {
  return {
    ...rows,
    channels: rows.channels.toReversed(),
    rollouts: rows.rollouts.toReversed(),
    records: rows.records.toReversed(),
    hosts: rows.hosts.toReversed(),
    dispatches: rows.dispatches.toReversed(),
    quarantines: rows.quarantines.toReversed(),
    probeFailures: rows.probeFailures.toReversed(),
    blockers: rows.blockers.toReversed(),
    enrolments: rows.enrolments.toReversed(),
  };
}

/** The set of the last manifest input in these. */
export function contentAfter(inputs: readonly Input[]): ContentInForce | null {
  const last = inputs.findLast((input) => input.kind === 'ManifestSetUpdated');
  return last === undefined ? null : { fleet: last.fleet, manifests: last.manifests };
}

/** Every index beside the rows, in a comparable form. */
export function indexes(state: FleetState): unknown {
  const rollouts = [...state.rollouts].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    fleetSize: state.fleetSize,
    fleetReachable: state.fleetReachable,
    budgets: [...state.budgets]
      .filter(([, budget]) => budget.inFlight.size > 0)
      .map(([key, budget]) => [key, [...budget.inFlight].sort()])
      .sort(),
    waves: rollouts.map(([id, rollout]) => [
      id,
      rollout.waves.map((wave) => ({
        ...wave,
        counts: { ...wave.counts },
        pending: [...wave.pending].sort(),
        absences: wave.absences.last(absentSince(state, rollout, wave)),
      })),
    ]),
    moving: rollouts.map(([id, rollout]) => [id, [...rollout.moving].sort()]),
    hosts: [...state.hosts]
      .map(([name, host]) => [name, [...host.rollouts].sort(), host.open])
      .sort(),
  };
}
