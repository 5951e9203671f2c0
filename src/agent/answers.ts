/**
 * What the control plane answers, read with the same distrust with which it reads us: members that matter
 * are checked, anything else is ignored (it may be newer). What cannot be read is null, and the caller
 * treats it as trouble.
 */
import { HOST_STATES, type HostState } from '../reducer/host/record.ts';
import type { Time } from '../reducer/time.ts';
import { isRolloutId } from '../wire/ids.ts';
import { canonicalTime } from '../wire/instant.ts';
import { isJsonObject, parseJsonText } from '../wire/text.ts';
import type { Dispatch, Snapshot } from './control-plane.ts';

type Members = Readonly<Record<string, unknown>>;

/** A JSON object; null if the text is anything else. */
export function readObject(text: string): Members | null {
  const parsed = parseJsonText(text);
  return parsed.ok && isJsonObject(parsed.value) ? parsed.value : null;
}

export function readDispatch(body: Members): Dispatch | null {
  const rolloutId = body['rollout_id'];
  const targetClosure = textOf(body['target_closure']);
  const soakDueAt = timeFrom(body['soak_due_at']);
  const enqueuedAt = timeFrom(body['enqueued_at']);
  if (
    !isRolloutId(rolloutId) ||
    targetClosure === null ||
    soakDueAt === null ||
    enqueuedAt === null
  )
    return null;
  return { rolloutId, targetClosure, soakDueAt, enqueuedAt };
}

/** The snapshots of a heartbeat's answer; those that cannot be read are left out. */
export function readSnapshots(body: Members): readonly Snapshot[] {
  const listed: unknown = body['bootstrap_rollouts'];
  if (!Array.isArray(listed)) return [];
  return listed.flatMap((value: unknown) =>
    isJsonObject(value) ? (readSnapshot(value) ?? []) : [],
  );
}

export function readSnapshot(body: Members): Snapshot | null {
  const rolloutId = body['rolloutId'];
  const [hostname, channel, targetClosure] = ['hostname', 'channel', 'targetClosure'].map((name) =>
    textOf(body[name]),
  );
  const state = stateOf(body['state']);
  const dispatchedAt = timeFrom(body['dispatchedAt']);
  const lastEventSeq = body['lastEventSeq'];
  if (!isRolloutId(rolloutId) || !hostname || !channel || !targetClosure) return null;
  if (state === null || dispatchedAt === null || !isCount(lastEventSeq)) return null;
  const optional = {
    currentClosureAtDispatch: textOf(body['currentClosureAtDispatch']),
    currentClosure: textOf(body['currentClosure']),
    dispatchAckedAt: timeFrom(body['dispatchAckedAt']),
    activationStartedAt: timeFrom(body['activationStartedAt']),
    activationCompletedAt: timeFrom(body['activationCompletedAt']),
    soakDueAt: timeFrom(body['soakDueAt']),
  };
  return {
    rolloutId,
    hostname,
    channel,
    state,
    targetClosure,
    dispatchedAt,
    lastEventSeq,
    ...present(optional),
  };
}

/** `Retry-After` in seconds; its other form, a date, is not worth a clock comparison. */
export function readRetryAfter(header: string | undefined): number | null {
  const seconds = Number(header);
  return header === undefined || !Number.isFinite(seconds) || seconds < 0 ? null : seconds * 1000;
}

export function readSeq(header: string | undefined): number | null {
  const seq = Number(header);
  return header === undefined || !isCount(seq) ? null : seq;
}

export function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function timeFrom(value: unknown): Time | null {
  return typeof value === 'string' ? canonicalTime(value) : null;
}

function stateOf(value: unknown): HostState | null {
  return HOST_STATES.find((state) => state === value) ?? null;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

type Present<T> = { [K in keyof T]?: NonNullable<T[K]> };

function present<K extends string>(
  members: Readonly<Record<K, string | null>>,
): Present<Record<K, string>> {
  const kept: Present<Record<K, string>> = {};
  for (const key in members) {
    const value = members[key];
    if (value !== null) kept[key] = value;
  }
  return kept;
}
