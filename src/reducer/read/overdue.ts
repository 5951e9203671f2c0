/** Sentences about a host that does not get out of its soak: what its probes, its heartbeat or its agent said last. */
import { soakOverSince } from '../planner/moving.ts';
import { failingProbes, isConvergedRefused } from '../planner/remarks.ts';
import type { Said } from '../planner/gates/gate.ts';
import type { RecordRow } from '../state/rows.ts';
import { failureKey, type RolloutState } from '../state/state.ts';
import type { Millis } from '../time.ts';
import { quote } from './quote.ts';

/** Of these each is told; of one host with more, the page of the host has the rest. */
const MOST_TOLD = 5;

/** In a few words, for lists of hosts. */
export function soakingDoing(rollout: RolloutState, record: RecordRow, now: Millis): string {
  const over = soakOverSince(rollout, record, now);
  if (over === null) return `soaking until ${record.soakDueAt ?? 'its agent says'}`;
  const why = inBrief(record);
  return `soak over since ${over}${why === '' ? '' : `, ${why}`}`;
}

function inBrief(record: RecordRow): string {
  const failing = failingProbes(record);
  if (failing.length === 1) return `probe ${failing.join()} fails`;
  if (failing.length > MOST_TOLD) return `${String(failing.length)} probes fail`;
  if (failing.length > 1) return `probes ${failing.join(', ')} fail`;
  if (record.contradictedBy !== null) return `reports ${record.contradictedBy}, not its target`;
  return isConvergedRefused(record) ? 'its Converged was refused' : '';
}

/** In full. */
export function overdue(rollout: RolloutState, record: RecordRow): Said {
  const names = failingProbes(record);
  const failing = names.slice(0, MOST_TOLD).map((name) => told(rollout, record, name));
  const others = names.length - failing.length;
  const { contradictedBy, targetClosure } = record;
  const reports =
    contradictedBy === null
      ? []
      : [`its heartbeat reports ${contradictedBy}, not the target ${targetClosure}`];
  const more = others > 0 ? [`and so do ${String(others)} more`] : [];
  const known = [...failing, ...more, ...reports];
  const why = known.length > 0 ? known.join('; ') : unsaid(record);
  return {
    because: `its soak is over, and ${why}`,
    releasedBy:
      'its enforced probes pass and its agent says Converged, or Failed; a write-off goes on without it',
    hosts: [record.hostname],
  };
}

function told(rollout: RolloutState, record: RecordRow, name: string): string {
  const since = rollout.failures.get(record.hostname)?.get(failureKey(name, ''))?.since;
  const reason = record.probes[name]?.failureReason ?? null;
  const from = since === undefined ? '' : `, from ${since} on`;
  return `its enforced probe ${name} fails${from}${reason === null ? '' : ` (${quote(reason)})`}`;
}

function unsaid(record: RecordRow): string {
  const { probeFailureFirstAt } = record;
  const flaps =
    probeFailureFirstAt === null
      ? ''
      : `; a probe of it failed first at ${probeFailureFirstAt}, and passes now`;
  return isConvergedRefused(record)
    ? `its Converged was refused, as its log says${flaps}`
    : `its agent has not said that it converged${flaps}`;
}
