/**
 * The derived state, row by row: exactly what the tables of the same names hold. Every row carries `seq`,
 * the log row that last changed it. Absent values are null. Nested values are JSON.
 */
import type { HealthPolicy } from '../host/events.ts';
import type { HostRecord } from '../host/record.ts';
import type { RolloutState } from '../rollout/states.ts';
import type { Selector } from '../content.ts';
import type { CreateToken } from '../input.ts';
import type { Time } from '../time.ts';

/** Who stopped something, when and why. */
export interface Stop {
  readonly actor: string;
  readonly reason: string;
  readonly at: Time;
}

/** Whatever was signed before `before` and no earlier entry names is rejected since `at`; null: an older Muster was told. */
export interface Rejection {
  readonly before: Time;
  readonly at: Time | null;
}

export interface FleetRow {
  seq: number;
  /** Hash of the fleet.resolved in force; null before the first. */
  fleetHash: string | null;
  signedAt: Time | null;
  ref: string | null;
  pause: Stop | null;
  rejectBefore: Time | null;
  /** Since when signatures before which instant are rejected, ascending; of another `rejectBefore` when the last is not it. */
  rejections: readonly Rejection[] | null;
  /** Since when it can be heard who is there: the present leader leads, and somebody comes through. */
  listeningSince: Time | null;
  /** Since when no host at all is heard; null while any is. */
  deafSince: Time | null;
  /** How many rollouts were ever opened; gives each its ordinal. */
  opened: number;
}

export interface ChannelRow {
  seq: number;
  channel: string;
  declaredRef: string | null;
  /** Hash and signature time of the verified manifest of the declared ref; null while there is none. */
  manifestHash: string | null;
  signedAt: Time | null;
  /** Minutes; 0: the fleet does not declare the channel. */
  freshnessWindow: number;
  /** Since when the fleet declares it no more; null while it does, and where no row tells. */
  undeclaredAt: Time | null;
  /** The newest rollout ever opened on this channel. */
  currentRolloutId: string | null;
  /** finish-first: the newest ref that waits for the current rollout. */
  waitingRef: string | null;
  pause: Stop | null;
  /** A standing remark for operators, such as `ref-already-ended`; null when there is none. */
  note: string | null;
}

export interface PinnedBudget {
  /** Canonical text of the selector: equal keys are the same budget. */
  readonly key: string;
  readonly selector: Selector;
  readonly hosts: readonly string[];
  readonly maxInFlight: number | null;
  readonly maxInFlightPct: number | null;
}

/** Everything a rollout will ever need, fixed when it opens. */
export interface RolloutPlan {
  readonly policy: string;
  readonly onHealthFailure: HealthPolicy;
  readonly onNewRef: 'supersede' | 'finish-first';
  readonly maxFailures: number;
  /** Soak of each wave in minutes; its length is the number of waves (at least 1). */
  readonly soakMinutes: readonly number[];
  readonly budgets: readonly PinnedBudget[];
  /** Hosts that a channel with waves puts in none of them: never dispatched. */
  readonly unstaged: readonly string[];
}

export interface RolloutRow {
  seq: number;
  rolloutId: string;
  channel: string;
  channelRef: string;
  displayName: string;
  manifestHash: string;
  /** Signature time of the manifest it last was verified under. */
  signedAt: Time;
  state: RolloutState;
  currentWave: number;
  /** 1, 2, 3 … over the whole installation, in order of opening. */
  ordinal: number;
  openedAt: Time;
  supersededAt: Time | null;
  supersededBy: string | null;
  terminalAt: Time | null;
  failedAt: Time | null;
  /** When it was superseded, cancelled or pruned. */
  endedAt: Time | null;
  plan: RolloutPlan;
  /** On Terminal: how many hosts were tolerated, by reason. */
  exceptions: Readonly<Record<string, number>> | null;
  /** Rollout-wide reasons it does not move, such as `fleet-silent`. */
  blockers: readonly string[];
  /** Since when each of them stands; null when there are none. */
  blockersSince: Readonly<Record<string, Time>> | null;
}

/** A host's record as the agent keeps it, and beside it what only the control plane knows. */
export interface RecordRow extends HostRecord {
  readonly seq: number;
  /** Highest seq ever refused above lastEventSeq; 0 when none. */
  readonly highestRefusedSeq: number;
  /** The last refusal as `seq:kind:code`: an equal one is not logged again. */
  readonly lastRefusal: string | null;
  /** When the CP applied the last accepted event. */
  readonly lastAcceptedAt: Time | null;
  /** When the CP applied ActivationCompleted (the wave's soak counts from here). */
  readonly completedAppliedAt: Time | null;
  /** The last closure a heartbeat reported after completion, when it was not the completed one. */
  readonly contradictedBy: string | null;
  /** Converged without having been dispatched: it already ran the target. */
  readonly unchanged: boolean;
  /** A failure that an operator has set aside. */
  readonly cleared: boolean;
  /** A dispatch of this record was once offered and then taken back. */
  readonly wasOffered: boolean;
  /** Consecutive heartbeats that reported the target with no event between. */
  readonly targetSightings: number;
  /** When the CP last synthesised this state. */
  readonly synthesisedAt: Time | null;
  /** Heard but silent about this move for too long: no longer counted as moving. */
  readonly stuck: boolean;
  /** RollbackComplete came with a non-zero exit. */
  readonly rollbackFailed: boolean;
  /** The policy that its agent took with its dispatch; null: the one that its rollout pinned. */
  readonly policyAtDispatch: HealthPolicy | null;
}

export interface HostRow {
  seq: number;
  hostname: string;
  reportedClosure: string | null;
  reachability: 'never' | 'reachable' | 'unreachable';
  /** Since when; null while never heard. */
  reachabilityAt: Time | null;
  hold: Stop | null;
  /** Closure of the most recent finished record when that was Converged or Reverted; null while moving. */
  settledClosure: string | null;
}

export interface DispatchRow {
  seq: number;
  rolloutId: string;
  hostname: string;
  channel: string;
  targetClosure: string;
  soakDueAt: Time;
  enqueuedAt: Time;
  /** Holds its slot but is not offered (paused, halted, superseded, held after it was offered). */
  suspended: boolean;
  /** Ordinal of its rollout: of several rows for a host only the newest is offered. */
  ordinal: number;
}

export interface QuarantineRow {
  seq: number;
  channel: string;
  closure: string;
  rolloutId: string;
  hostname: string;
  at: Time;
}

/** A bearer token of an operator's. A removed one admits nobody. */
export interface TokenRow {
  seq: number;
  tokenId: string;
  name: string;
  role: CreateToken['role'];
  /** Commands under it reach these only; null: everything. */
  channels: readonly string[] | null;
  createdBy: string;
  createdAt: Time;
  expiresAt: Time;
}

/** A probe, or one control of an evidence probe, whose latest result is an enforced failure. */
export interface ProbeFailureRow {
  seq: number;
  rolloutId: string;
  hostname: string;
  probeName: string;
  /** Empty for the probe itself. */
  controlId: string;
  since: Time;
}

/** A bootstrap nonce that was burnt, for which request, and the one certificate that it is good for. */
export interface EnrolmentRow {
  seq: number;
  nonce: string;
  hostname: string;
  /** SHA-256 hex of the certificate request: the same one may collect its certificate again. */
  csrHash: string;
  /** Base64 SHA-256 of the public key. */
  keyFingerprint: string;
  /** Of the certificate: serial number in hex, and its life. */
  serial: string;
  notBefore: Time;
  notAfter: Time;
  tokenExpiresAt: Time;
  /** Until when the allow-list let the nonce in. */
  nonceExpiresAt: Time;
  burntAt: Time;
  /** Other requests that came with this nonce and were refused, as far as they were logged. */
  refusals: number;
}

export interface BlockerRow {
  seq: number;
  rolloutId: string;
  hostname: string;
  /** Gate keys, `gate` or `gate:subject`, sorted. */
  gates: readonly string[];
  /** Since when by this set of gates. */
  since: Time;
  /** Those of the set that held before it did: since when each (`blocker-since.ts`). Null when there are none. */
  earlier: Readonly<Record<string, Time>> | null;
}
