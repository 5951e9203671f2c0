/** A commit that writes nothing. */
import type { TouchedRows } from '../../src/reducer/state/touched.ts';

export const NOTHING_TOUCHED: TouchedRows = {
  fleet: null,
  channels: [],
  rollouts: [],
  records: [],
  reports: [],
  hosts: [],
  dispatches: [],
  quarantines: [],
  probeFailures: [],
  blockers: [],
  tokens: [],
  enrolments: [],
  removed: {
    dispatches: [],
    blockers: [],
    quarantines: [],
    probeFailures: [],
    tokens: [],
    enrolments: [],
    pruned: [],
  },
};
