/**
 * One host's way through one rollout. The control plane mirrors what the agent keeps: same fields, same
 * function to change them. Absent is `null`, never `undefined`, so that a record folds field by field.
 */
import type { Time } from '../time.ts';
import type { DeclaredProbe, HealthPolicy, ProbeMode, ProbeVerdict } from './events.ts';

export const HOST_STATES = [
  'Pending',
  'Activating',
  'Deferred',
  'Soaking',
  'Converged',
  'Failed',
  'Reverted',
] as const;
export type HostState = (typeof HOST_STATES)[number];

export interface ProbeStatus {
  readonly status: ProbeVerdict;
  readonly mode: ProbeMode;
  readonly lastObservedAt: Time;
  readonly lastPassAt: Time | null;
  readonly failureReason: string | null;
}

export interface HostRecord {
  readonly rolloutId: string;
  readonly hostname: string;
  readonly channel: string;
  /** Index into the rollout's waves, from 0. */
  readonly wave: number;
  readonly state: HostState;
  readonly targetClosure: string;
  readonly currentClosureAtDispatch: string | null;
  readonly currentClosure: string | null;
  readonly revertedTo: string | null;
  readonly dispatchedAt: Time | null;
  readonly dispatchAckedAt: Time | null;
  readonly activationStartedAt: Time | null;
  readonly activationCompletedAt: Time | null;
  readonly activationFailedAt: Time | null;
  readonly probeObservedFirstAt: Time | null;
  readonly probeFailureFirstAt: Time | null;
  readonly soakDueAt: Time | null;
  readonly convergedAt: Time | null;
  readonly failedAt: Time | null;
  readonly policyApplied: HealthPolicy | null;
  readonly revertedAt: Time | null;
  readonly probes: Readonly<Record<string, ProbeStatus>>;
  readonly declaredProbes: readonly DeclaredProbe[] | null;
  /** Highest applied agent seq; 0 before the first. Never falls. */
  readonly lastEventSeq: number;
  /** Why the control plane set this state by itself (see 'host reports'); null when the agent said it. */
  readonly synthesised: string | null;
  readonly closed: 'abandoned' | 'written-off' | null;
}

/** Not yet history: something may still come of it. */
export function isOpen({ closed, state }: Pick<HostRecord, 'closed' | 'state'>): boolean {
  return closed === null && state !== 'Converged' && state !== 'Reverted';
}

/** A record as it is before anything happened. */
export function pendingRecord(
  id: Pick<HostRecord, 'rolloutId' | 'hostname' | 'channel' | 'wave' | 'targetClosure'>,
): HostRecord {
  return {
    rolloutId: id.rolloutId,
    hostname: id.hostname,
    channel: id.channel,
    wave: id.wave,
    state: 'Pending',
    targetClosure: id.targetClosure,
    currentClosureAtDispatch: null,
    currentClosure: null,
    revertedTo: null,
    dispatchedAt: null,
    dispatchAckedAt: null,
    activationStartedAt: null,
    activationCompletedAt: null,
    activationFailedAt: null,
    probeObservedFirstAt: null,
    probeFailureFirstAt: null,
    soakDueAt: null,
    convergedAt: null,
    failedAt: null,
    policyApplied: null,
    revertedAt: null,
    probes: {},
    declaredProbes: null,
    lastEventSeq: 0,
    synthesised: null,
    closed: null,
  };
}
