/**
 * Sentences for the keys that are no gates: remarks on a host that does not get on, and reasons for which a
 * whole rollout does not. The gates explain themselves.
 */
import { limitOf } from '../planner/limit.ts';
import { isBusy, isRollingBack } from '../planner/moving.ts';
import { selectorInBrief } from '../planner/pin.ts';
import { SOAK_OVERDUE } from '../planner/remarks.ts';
import { silentWave } from '../planner/settle.ts';
import { deliveredGraceMs, silenceCountsFrom } from '../planner/silence.ts';
import { listed, type Explanation, type Said } from '../planner/gates/gate.ts';
import { budgetState } from '../state/flight.ts';
import { waveOf, type FleetState, type RolloutState } from '../state/state.ts';
import type { DispatchRow, RecordRow } from '../state/rows.ts';
import { millisOf, MINUTE, timeOf, type Time } from '../time.ts';
import { overdue } from './overdue.ts';

/** A host that may move, and has not said that it knows. No row of the log says so: it is read off its dispatch. */
export const UNACKNOWLEDGED = 'dispatch-unacknowledged';

/** A host that went silent in mid-switch, in its soak or on its way back. No row of the log says so: it is read off its reachability. */
export const UNREACHABLE_MOVE = 'unreachable-move';

/** A host that staged its release and waits for a reboot. No row of the log says so: it is read off its record. */
export const REBOOT_PENDING = 'reboot-pending';

/** Since when, by this clock: a staged record takes no word but the one that ends it. Null of all others. */
export function rebootPendingSince({ closed, state, ...record }: RecordRow): Time | null {
  return closed === null && state === 'Deferred' ? record.lastAcceptedAt : null;
}

/** Since when such a host is not heard; null of all others, and of a record that is not on its way. */
export function unreachableSince(state: FleetState, record: RecordRow): Time | null {
  const { closed, state: stands, hostname } = record;
  const isOnItsWay = stands === 'Activating' || stands === 'Soaking' || isBusy(record);
  return closed === null && isOnItsWay ? lostSince(state, hostname) : null;
}

function lostSince({ hosts }: FleetState, hostname: string): Time | null {
  const host = hosts.get(hostname)?.row;
  return host?.reachability === 'unreachable' ? host.reachabilityAt : null;
}

/** A dispatch whose host is not heard: since when, and when it is taken back; null of all others. */
export function givenUp(
  state: FleetState,
  { hostname }: DispatchRow,
): { readonly since: Time; readonly when: string } | null {
  const since = lostSince(state, hostname);
  if (since === null) return null;
  const at = Math.max(millisOf(since) + deliveredGraceMs(state.settings), silenceCountsFrom(state));
  const { deafSince } = state.fleet;
  const when =
    deafSince === null
      ? `about ${timeOf(at)}`
      : `only some minutes after hosts are heard again, of which none is since ${deafSince}`;
  return { since, when };
}

/** When its agent last fetched the dispatch; null: never; undefined where nobody looked. */
export type OfferedAt = Time | null | undefined;

export type Remark = Omit<Explanation, 'gate'>;

/** Of one host; null for a key that is no remark. */
export function explainRemark(
  state: FleetState,
  rollout: RolloutState,
  record: RecordRow,
  { key, offeredAt }: { readonly key: string; readonly offeredAt?: OfferedAt },
): Remark | null {
  const said =
    key === UNACKNOWLEDGED
      ? unacknowledged(state, rollout, record, offeredAt)
      : remarkOn(state, rollout, record, key);
  return said === null ? null : listed(said);
}

function unacknowledged(
  state: FleetState,
  { dispatches }: RolloutState,
  { hostname }: RecordRow,
  offeredAt: OfferedAt,
): Said | null {
  const dispatch = dispatches.get(hostname);
  if (dispatch === undefined) return null;
  const { enqueuedAt, suspended } = dispatch;
  const fetched =
    offeredAt === null
      ? 'not fetched by its agent yet'
      : `${offeredAt === undefined ? '' : `last fetched by its agent at ${offeredAt}, `}not acknowledged yet`;
  const because = `dispatched at ${enqueuedAt}, ${fetched}${suspended ? '; not offered now' : ''}`;
  const acknowledges = `${offeredAt === null ? 'fetches and ' : ''}acknowledges it`;
  const byOperator = '`hold` and then `withdraw` take the dispatch back';
  const lost = givenUp(state, dispatch);
  if (lost === null)
    return { because, releasedBy: `its agent ${acknowledges}; ${byOperator}`, hosts: [hostname] };
  const grace = String(deliveredGraceMs(state.settings) / MINUTE);
  return {
    because: `${because}; unreachable since ${lost.since}, so that it is given up ${lost.when}`,
    releasedBy: `its agent is heard and ${acknowledges}, or is not heard for ${grace} min, after which its slot is free; ${byOperator} at once`,
    hosts: [hostname],
  };
}

function remarkOn(
  state: FleetState,
  rollout: RolloutState,
  record: RecordRow,
  key: string,
): Said | null {
  const hosts = [record.hostname];
  switch (key) {
    case 'rollback-failed':
      return {
        because: 'its rollback ended with an error: what it runs now is not known to be good',
        releasedBy: 'a person mends the host; a write-off lets the rollout go on without it',
        hosts,
      };
    case 'stuck-move':
      return stuck(state, record);
    case UNREACHABLE_MOVE:
      return {
        because: `its agent fell silent while it ${isRollingBack(record) ? 'rolled back; it keeps its slot in its budgets' : `was ${record.state}; the rollout waits for it`}, and nobody knows what it runs`,
        releasedBy: 'its agent is heard again, or an operator writes it off',
        hosts,
      };
    case REBOOT_PENDING:
      return {
        because: 'its release is staged, and takes effect with a reboot',
        releasedBy: 'the host reboots; a new commit, or a write-off, goes on without it',
        hosts,
      };
    case 'probe-silent':
      return {
        because: `never reported: ${silentProbes(record)}`,
        releasedBy: 'their results come in',
        hosts,
      };
    case SOAK_OVERDUE:
      return overdue(rollout, record);
    case 'dispatch-refused':
      return {
        because: `dispatched at ${rollout.dispatches.get(record.hostname)?.enqueuedAt ?? 'an unknown time'}, offered and heard since, but not acknowledged`,
        releasedBy: 'its agent acknowledges it; `hold` and then `withdraw` give its slot to others',
        hosts,
      };
    default:
      return null;
  }
}

/** It was heard when this was noted; whether it still is, is another matter. */
function stuck(state: FleetState, { hostname, lastAcceptedAt }: RecordRow): Said {
  const lost = lostSince(state, hostname);
  const since = lastAcceptedAt ?? 'its dispatch';
  const silent = `its agent has said nothing of this move since ${since}`;
  return {
    because:
      lost === null
        ? `it is heard, but ${silent}`
        : `${silent}, though it was heard; it is unreachable since ${lost}`,
    releasedBy: 'its agent reports the next event of this move, or an operator writes it off',
    hosts: [hostname],
  };
}

function silentProbes(record: RecordRow): string {
  return (record.declaredProbes ?? [])
    .filter((probe) => probe.mode === 'enforce' && !Object.hasOwn(record.probes, probe.probeName))
    .map((probe) => probe.probeName)
    .join(', ');
}

/** Of a whole rollout; null for a key that is no such reason. */
export function explainRolloutBlocker(
  state: FleetState,
  rollout: RolloutState,
  key: string,
): Remark | null {
  const said = blockerOf(state, rollout, key);
  return said === null ? null : listed(said);
}

function blockerOf(state: FleetState, rollout: RolloutState, key: string): Said | null {
  const [name = '', subject = ''] = key.split(':');
  const wave = name === 'fleet-silent' ? silentWave(state, rollout) : rollout.row.currentWave;
  const tally = waveOf(rollout, wave);
  switch (name) {
    case 'fleet-silent':
      return {
        because: `${String(tally.reachable)} of ${String(tally.total)} hosts of wave ${String(wave)} and ${String(state.fleetReachable)} of ${String(state.fleetSize)} of the fleet are heard: with fewer than half, absence says nothing`,
        releasedBy: 'half of the wave and half of the fleet are heard',
        hosts: absent(state, tally.pending),
      };
    case 'wave-unproven':
      return {
        because: `no host of wave ${String(wave)} came through, and none was written off or cleared`,
        releasedBy: 'one host of the wave converges, or an operator writes one off',
        // None of them did: whoever is to be written off is among them.
        hosts: hostsOf(rollout, wave),
      };
    case 'budget-exceeded':
      return exceeded(state, rollout, Number(subject));
    default:
      return null;
  }
}

function exceeded(state: FleetState, rollout: RolloutState, index: number): Said | null {
  const budget = rollout.row.plan.budgets[index];
  if (budget === undefined) return null;
  const inFlight = [...budgetState(state, rollout, index).inFlight.keys()];
  return {
    because: `${String(inFlight.length)} hosts in flight under ${selectorInBrief(budget.selector)}, which allows ${String(limitOf(budget) ?? 'any')}`,
    releasedBy: 'enough of these hosts come through; nothing more is granted until then',
    hosts: inFlight,
  };
}

function hostsOf({ records }: RolloutState, wave: number): string[] {
  return [...records.values()]
    .filter((record) => record.wave === wave)
    .map(({ hostname }) => hostname);
}

function absent(state: FleetState, pending: ReadonlySet<string>): string[] {
  return [...pending].filter(
    (hostname) => state.hosts.get(hostname)?.row.reachability !== 'reachable',
  );
}
