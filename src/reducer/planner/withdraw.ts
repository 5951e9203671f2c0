/**
 * Takes back dispatches that no longer hold. One that was never offered is simply removed; one that was
 * offered may be running, so it keeps its slot and is only no longer offered. Whether it was offered is a
 * fact the leader looked up under lock; where nobody looked, the dispatch is treated as offered.
 */
import type { Pass, Row } from '../pass.ts';
import { dispatches as mayDispatch } from '../rollout/states.ts';
import type { Sliced } from '../slices.ts';
import type { Change } from '../state/change.ts';
import { quarantineKey, type RolloutState } from '../state/state.ts';
import type { DispatchRow } from '../state/rows.ts';
import { millisOf, type Time } from '../time.ts';
import { isRejected } from './gates/manifest-rejected.ts';
import { isDeclared } from './gates/not-declared.ts';
import { isUnchanged } from './grant.ts';
import { deliveredGraceMs, hasListened } from './silence.ts';

type Reason =
  | 'superseded'
  | 'cancelled'
  | 'halted'
  | 'paused'
  | 'held'
  | 'quarantined'
  | 'rejected'
  | 'not-declared'
  | 'unreachable'
  | 'unchanged'
  | 'silent';

/** Reviews these hosts' dispatches in one rollout. */
export function* reviewDispatches(
  pass: Pass,
  rollout: RolloutState,
  hostnames: ReadonlySet<string>,
): Sliced {
  const withdrawn = new Map<Reason, string[]>();
  const suspended = new Map<string, string[]>();
  for (const hostname of dispatched(rollout, hostnames)) {
    const dispatch = rollout.dispatches.get(hostname);
    if (dispatch === undefined) continue;
    if (pass.isSliceOver()) yield;
    const reason = whyNot(pass, rollout, dispatch);
    if (shouldWithdraw(pass, dispatch, reason)) add(withdrawn, reason ?? 'silent', hostname);
    else if (shouldSuspend(reason) !== dispatch.suspended) {
      add(suspended, shouldSuspend(reason) ? (reason ?? 'halted') : 'resumed', hostname);
    }
  }
  for (const [reason, hosts] of withdrawn)
    yield* pass.emitMany(withdrawal(pass, rollout, hosts, reason));
  for (const [reason, hosts] of suspended) yield* pass.emitMany(suspension(rollout, hosts, reason));
}

/** Those of the hosts that have a dispatch in force, by name. */
function dispatched({ dispatches }: RolloutState, hostnames: ReadonlySet<string>): string[] {
  const [few, many] =
    dispatches.size < hostnames.size ? [dispatches, hostnames] : [hostnames, dispatches];
  return [...few.keys()].filter((hostname) => many.has(hostname)).sort();
}

/** The row that removes the dispatches of `hosts`; their records may be dispatched again. */
export function withdrawal(
  pass: Pass,
  rollout: RolloutState,
  hosts: readonly string[],
  reason: string,
): Row {
  const { rolloutId, channel } = rollout.row;
  const changes = hosts.flatMap((hostname): Change[] => {
    const offered = pass.offerOf(rolloutId, hostname) !== 'never';
    pass.forgetOffer(rolloutId, hostname);
    return [
      { t: 'dispatch', rolloutId, hostname, set: null },
      {
        t: 'record',
        rolloutId,
        hostname,
        set: offered
          ? { dispatchedAt: null, soakDueAt: null, wasOffered: true }
          : { dispatchedAt: null, soakDueAt: null },
      },
    ];
  });
  const one = hosts.length === 1 ? (hosts[0] ?? null) : null;
  const payload = { action: 'WithdrawDispatch', reason, hosts };
  return { kind: 'plan_action', hostname: one, rolloutId, channel, payload, changes };
}

function suspension(rollout: RolloutState, hosts: readonly string[], reason: string): Row {
  const { rolloutId, channel } = rollout.row;
  const suspended = reason !== 'resumed';
  return {
    kind: 'plan_action',
    hostname: hosts.length === 1 ? (hosts[0] ?? null) : null,
    rolloutId,
    channel,
    payload: { action: suspended ? 'SuspendDispatch' : 'ResumeDispatch', reason, hosts },
    changes: hosts.map((hostname) => ({ t: 'dispatch', rolloutId, hostname, set: { suspended } })),
  };
}

function whyNot(pass: Pass, rollout: RolloutState, dispatch: DispatchRow): Reason | null {
  const { state } = pass;
  const host = state.hosts.get(dispatch.hostname);
  const { state: stands } = rollout.row;
  if (stands === 'Superseded') return 'superseded';
  if (stands === 'Cancelled') return 'cancelled';
  if (!mayDispatch(stands)) return 'halted';
  if (state.fleet.pause !== null || state.channels.get(dispatch.channel)?.pause) return 'paused';
  if (host?.row.hold) return 'held';
  if (state.quarantines.has(quarantineKey(dispatch.channel, dispatch.targetClosure)))
    return 'quarantined';
  if (isRejected(state, rollout)) return 'rejected';
  if (!isDeclared(state, dispatch.channel)) return 'not-declared';
  if (host?.row.reachability !== 'reachable') return 'unreachable';
  // It said after the grant that it runs the target already: what it was not offered it need not do.
  const record = rollout.records.get(dispatch.hostname);
  return record !== undefined && isUnchanged(pass, rollout, record, host) ? 'unchanged' : null;
}

function shouldWithdraw(pass: Pass, dispatch: DispatchRow, reason: Reason | null): boolean {
  const offer = pass.offerOf(dispatch.rolloutId, dispatch.hostname);
  if (offer === null) return false;
  if (offer === 'never') return reason !== null;
  const heard = pass.heardAt(dispatch.hostname) ?? lastSign(pass, dispatch, offer.last);
  const grace = deliveredGraceMs(pass.state.settings);
  const isSilent = heard !== null && pass.now - millisOf(heard) > grace;
  return isSilent && hasListened(pass.state, pass.now);
}

/** Where nobody knows when a host was heard: one that counts as there is; one that is lost was, until it was. */
function lastSign({ state }: Pass, { hostname }: DispatchRow, offered: Time): Time | null {
  const row = state.hosts.get(hostname)?.row;
  if (row?.reachability === 'reachable') return null;
  const lost = row?.reachabilityAt ?? offered;
  return lost > offered ? lost : offered;
}

// An unreachable host that was offered its dispatch may come back for it; one that runs the target may say so.
function shouldSuspend(reason: Reason | null): boolean {
  return reason !== null && reason !== 'unreachable' && reason !== 'unchanged';
}

function add<K>(map: Map<K, string[]>, key: K, hostname: string): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, [hostname]);
  else known.push(hostname);
}
