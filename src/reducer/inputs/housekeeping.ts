/** Inputs that no person and no agent sends: the clock, liveness, verification, trust, retention, leadership. */
import { unsettled } from '../close-record.ts';
import type {
  LeadershipInput,
  LivenessInput,
  RefusedEventInput,
  RetentionInput,
  TickInput,
  TrustChangedInput,
  VerifyOutcomeInput,
} from '../input.ts';
import type { Verdict } from '../log.ts';
import type { Pass } from '../pass.ts';
import { rejecting } from '../planner/gates/manifest-rejected.ts';
import { isMoveOverdue, silentSince } from '../planner/moving.ts';
import { hasListened, noteHearing } from '../planner/silence.ts';
import { forgetNonces } from './enrolment.ts';
import { isNews, noteRefusal } from './refusals.ts';
import type { Sliced } from '../slices.ts';
import { stepRollout } from '../rollout/step-rollout.ts';
import type { Change } from '../state/change.ts';
import type { RecordRow } from '../state/rows.ts';
import type { RolloutState } from '../state/state.ts';

const APPLIED: Verdict = { status: 'applied' };
const NOOP: Verdict = { status: 'noop' };

/** Time has passed: everything that depends on it is looked at again. */
export function* onTick(pass: Pass, { hearing }: TickInput): Sliced<Verdict> {
  const heard = hearing === undefined ? {} : { hearing };
  pass.begin({ kind: 'plan_action', payload: { action: 'Tick', ...heard } });
  noteHearing(pass, hearing);
  const stuck: RecordRow[] = [];
  for (const rollout of pass.state.live.values()) {
    for (const hostname of rollout.moving) {
      const record = rollout.records.get(hostname);
      if (record !== undefined && isStuck(pass, rollout, record)) stuck.push(record);
      if (pass.isSliceOver()) yield;
    }
  }
  stuck.sort(byRolloutAndName);
  for (const record of stuck) markStuck(pass, record);
  yield* forgetNonces(pass);
  pass.state.dirty.all = true;
  return APPLIED;
}

/** Heard, yet silent about its move for too long: the move no longer counts. */
function isStuck(pass: Pass, rollout: RolloutState, record: RecordRow): boolean {
  const { settings } = pass.state;
  if (!isMoveOverdue(rollout, record, settings, pass.now)) return false;
  if (!hasListened(pass.state, pass.now)) return false;
  const since = silentSince(rollout, record);
  const heard = pass.heardAt(record.hostname);
  if (heard === null || since === null) return false;
  return heard > since && heard > (pass.state.fleet.listeningSince ?? '');
}

function byRolloutAndName(a: RecordRow, b: RecordRow): number {
  if (a.rolloutId !== b.rolloutId) return a.rolloutId < b.rolloutId ? -1 : 1;
  return a.hostname < b.hostname ? -1 : 1;
}

function markStuck(pass: Pass, record: RecordRow): void {
  const { rolloutId, hostname, channel, state } = record;
  pass.emit({
    kind: 'plan_action',
    hostname,
    rolloutId,
    channel,
    payload: { action: 'StuckMove', state, lastAcceptedAt: record.lastAcceptedAt },
    changes: [{ t: 'record', rolloutId, hostname, set: { stuck: true } }],
  });
}

export function* onHostsUnreachable(pass: Pass, input: LivenessInput): Sliced<Verdict> {
  const lost = input.hosts.filter(({ hostname }) => {
    const row = pass.state.hosts.get(hostname)?.row;
    return row?.reachability === 'reachable' && (row.reachabilityAt ?? '') <= input.observedAt;
  });
  if (lost.length === 0) return NOOP;
  pass.begin({
    kind: 'liveness',
    hostname: lost.length === 1 ? (lost[0]?.hostname ?? null) : null,
    payload: { event: 'HostUnreachable', hosts: lost },
  });
  yield* pass.writeMany(
    lost.map(({ hostname }) => ({
      t: 'host',
      hostname,
      set: { reachability: 'unreachable', reachabilityAt: pass.at },
    })),
  );
  return APPLIED;
}

export function onRefusedEvent(pass: Pass, input: RefusedEventInput): Verdict {
  const { hostname, rolloutId, code, seq, detail, excerpt } = input;
  const channel = rolloutId === null ? undefined : pass.state.rollouts.get(rolloutId)?.row.channel;
  pass.begin({
    kind: 'agent_event',
    hostname,
    rolloutId,
    channel: channel ?? null,
    actor: hostname,
    payload: { verdict: 'refused', code, detail, seq, excerpt },
  });
  const record =
    rolloutId === null ? undefined : pass.state.rollouts.get(rolloutId)?.records.get(hostname);
  if (record === undefined || seq === null || seq <= record.lastEventSeq) pass.write();
  else noteUnread(pass, record, { seq, kind: 'unread', code });
  const { state, lastEventSeq } = record ?? { state: null, lastEventSeq: null };
  return { status: 'refused', code, detail, state, lastEventSeq };
}

/** Else the agent, whose own seq is higher, would be asked to post it again for ever. */
function noteUnread(
  pass: Pass,
  record: RecordRow,
  refused: Parameters<typeof noteRefusal>[1],
): void {
  if (isNews(record, refused)) pass.write([noteRefusal(record, refused)]);
}

export function onVerifyOutcome(pass: Pass, input: VerifyOutcomeInput): Verdict {
  const { artifact, ok, reason, detail, hash } = input;
  pass.begin({ kind: 'verify_outcome', payload: { artifact, ok, reason, detail, hash } });
  pass.write();
  return APPLIED;
}

export function onTrustChanged(pass: Pass, { rejectBefore }: TrustChangedInput): Verdict {
  const { fleet } = pass.state;
  if (fleet.rejectBefore === rejectBefore) return NOOP;
  pass.begin({ kind: 'verify_outcome', payload: { artifact: 'trust', rejectBefore } });
  const rejections = rejecting(fleet, rejectBefore, pass.at);
  pass.write([{ t: 'fleet', set: { rejectBefore, rejections } }]);
  return APPLIED;
}

export function* onRetentionExpired(pass: Pass, input: RetentionInput): Sliced<Verdict> {
  const { rolloutId } = input;
  const rollout = pass.state.rollouts.get(rolloutId);
  const set =
    rollout === undefined
      ? null
      : stepRollout(rollout.row, { kind: 'RetentionExpired', at: pass.at });
  if (rollout === undefined || set === null) return NOOP;
  const { channel, state, plan } = rollout.row;
  if (pass.state.channels.get(channel)?.currentRolloutId === rolloutId) return NOOP;
  pass.begin({
    kind: 'rollout_event',
    rolloutId,
    channel,
    payload: { event: 'RetentionExpired', from: state, to: 'Pruned' },
  });
  yield* pass.writeMany([
    ...[...rollout.records.values()].flatMap((record) =>
      record.closed === null ? unsettled(rollout, record) : [],
    ),
    { t: 'prune', rolloutId },
    // A tombstone needs its id, not its host lists: there will be many.
    { t: 'rollout', rolloutId, set: { ...set, plan: { ...plan, budgets: [], unstaged: [] } } },
  ]);
  return APPLIED;
}

export function* onLeaderStarted(pass: Pass, input: LeadershipInput): Sliced<Verdict> {
  const { epoch, holder, version, incarnation, otherDatabase } = input;
  const isDeaf = pass.state.fleet.deafSince !== null;
  pass.begin({
    kind: 'leadership',
    actor: holder,
    payload: {
      event: 'LeaderStarted',
      epoch,
      holder,
      version,
      incarnation,
      settings: pass.state.settings,
      ...(otherDatabase === undefined ? {} : { otherDatabase }),
    },
  });
  yield* pass.writeMany([
    // Whether anybody is heard, the next Tick says; an older worker's does not.
    { t: 'fleet', set: { listeningSince: pass.at, ...(isDeaf ? { deafSince: null } : {}) } },
    ...(otherDatabase === true ? unheard(pass) : []),
  ]);
  pass.state.dirty.all = true;
  return APPLIED;
}

/**
 * What hosts were running when the backup was made says nothing of now: by that alone a host would be called unchanged
 * that has moved since. Each says it again with its next heartbeat.
 */
function unheard(pass: Pass): readonly Change[] {
  const known = [...pass.state.hosts.values()].flatMap(({ row: { hostname, reportedClosure } }) =>
    reportedClosure === null ? [] : [hostname],
  );
  return known.sort().map((hostname) => ({ t: 'host', hostname, set: { reportedClosure: null } }));
}
