/**
 * About how many bytes a batch gives its commit to write, so that it ends before that takes long to send: a host's event of
 * a few hundred bytes writes all of its probes' last results anew, which may be some megabytes.
 */
import type { LogEntry } from '../reducer/log.ts';
import type { FleetState } from '../reducer/state/state.ts';

/** Eight seconds over the slowest link (`db/slow-link.ts`): most callers wait for ten. */
export const BATCH_BYTES = 2_000_000;

/** What a log row has beside its payload, and a derived row or probe beside its texts. */
const ROW_BYTES = 300;
const PROBE_BYTES = 150;
/** A record that weighs less is counted again with each of its events: to know it would cost more. */
const LARGE_BYTES = 10_000;

export interface Weight {
  /** So far. */
  readonly bytes: number;
  add(
    state: FleetState,
    entries: readonly LogEntry[],
    rows: readonly { readonly payload: string }[],
  ): void;
}

export function weigh(): Weight {
  let bytes = 0;
  const large = new Set<string>();
  /** As the state has it now, which is what is written; once in a commit, however often it changes. */
  const recordBytes = (state: FleetState, rolloutId: string, hostname: string): number => {
    const record = state.rollouts.get(rolloutId)?.records.get(hostname);
    if (record === undefined) return 0;
    const ofProbes = probesBytes(record.probes);
    if (ofProbes < LARGE_BYTES) return ofProbes;
    const key = `${rolloutId}\u0000${hostname}`;
    if (large.has(key)) return 0;
    large.add(key);
    return ofProbes;
  };
  return {
    get bytes() {
      return bytes;
    },
    add(state, entries, rows) {
      for (const { payload } of rows) bytes += ROW_BYTES + payload.length;
      for (const { changes } of entries) {
        bytes += ROW_BYTES * changes.length;
        for (const change of changes) {
          if (change.t !== 'record') continue;
          bytes += recordBytes(state, change.rolloutId, change.hostname);
        }
      }
    },
  };
}

type Probes = Readonly<Record<string, { readonly failureReason: string | null }>>;

/** In UTF-16 units: other writings take up to three bytes, and JSON six for a control character. */
function probesBytes(probes: Probes): number {
  let bytes = 0;
  for (const name in probes) {
    bytes += PROBE_BYTES + name.length + (probes[name]?.failureReason?.length ?? 0);
  }
  return bytes;
}
