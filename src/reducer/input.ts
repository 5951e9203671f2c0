/**
 * Everything that can change the fleet's state enters here, one input at a time, in queue order. Inputs
 * are facts, never decisions: API replicas and workers make them, only the leader reduces them. What is
 * not in the state or in the input does not exist for a decision, so facts that the leader must look up
 * under a lock (offers, last-heard times) are added as `observed` and logged with the input.
 */
import type { FleetContent, ManifestContent } from './content.ts';
import type { HostEvent } from './host/events.ts';
import type { Time } from './time.ts';

/** Facts looked up by the leader for one input, under the writer transaction's locks. */
export interface Observed {
  /** Dispatch rows in question that were ever offered to their agent. Absent row: never offered. */
  readonly offers: readonly {
    readonly rolloutId: string;
    readonly hostname: string;
    readonly firstOfferedAt: Time;
    readonly lastOfferedAt: Time;
  }[];
  /** When each host in question was last heard by any replica. Absent: unknown. */
  readonly heard: readonly { readonly hostname: string; readonly at: Time }[];
}

export interface AgentEventInput {
  readonly kind: 'AgentEvent';
  readonly hostname: string;
  readonly rolloutId: string;
  readonly event: HostEvent;
}

/** An authenticated event that can never be a transition: kept, judged, and answered as refused. */
export interface RefusedEventInput {
  readonly kind: 'RefusedEvent';
  readonly hostname: string;
  readonly rolloutId: string | null;
  readonly code: 'unknown-kind' | 'malformed' | 'too-large';
  readonly seq: number | null;
  readonly detail: string;
  /** The body, truncated, as text. */
  readonly excerpt: string;
}

/** A heartbeat that may change something. */
export interface HostReportInput {
  readonly kind: 'HostReport';
  readonly hostname: string;
  readonly at: Time;
  readonly currentClosure: string | null;
  readonly rolloutId: string | null;
  readonly agentVersion: string | null;
  readonly lastEventSeqByRollout: Readonly<Record<string, number>>;
}

export interface ManifestSetInput {
  readonly kind: 'ManifestSetUpdated';
  readonly fleet: FleetContent;
  readonly manifests: readonly ManifestContent[];
}

/** A verification outcome that differs from the last one of that artifact. */
export interface VerifyOutcomeInput {
  readonly kind: 'VerifyOutcome';
  readonly artifact: string;
  readonly ok: boolean;
  readonly reason: string | null;
  readonly detail: string;
  /** Verified: of the canonical bytes. Refused: of the bytes and signature as read; null if there were none. */
  readonly hash: string | null;
}

export interface TrustChangedInput {
  readonly kind: 'TrustChanged';
  readonly rejectBefore: Time | null;
}

/** Hosts whose silence passed three heartbeats while the control plane was receiving. */
export interface LivenessInput {
  readonly kind: 'HostsUnreachable';
  /** When the worker looked: a host that returned since is not lost. */
  readonly observedAt: Time;
  readonly hosts: readonly { readonly hostname: string; readonly lastHeardAt: Time | null }[];
}

export interface TickInput {
  readonly kind: 'Tick';
  /**
   * Whether any host at all, declared or not, was heard lately: else nobody can be, however much is said. Absent of an older
   * worker, and where nobody asked: then it is as it was.
   */
  readonly hearing?: boolean;
}

export interface RetentionInput {
  readonly kind: 'RetentionExpired';
  readonly rolloutId: string;
}

export interface LeadershipInput {
  readonly kind: 'LeaderStarted';
  readonly epoch: number;
  readonly holder: string;
  readonly version: string;
  readonly incarnation: string;
  /** Another than the term before had: a standby was promoted, or a backup restored. It may lack what came last. */
  readonly otherDatabase?: true;
}

/** What a certificate will say of its life; fixed before it is signed, so that it is logged before it exists. */
export interface PlannedCertificate {
  /** Serial number in hex. */
  readonly serial: string;
  readonly notBefore: Time;
  readonly notAfter: Time;
}

/** A bootstrap token that was verified, with the certificate request it came with: may its nonce be burnt? */
export interface EnrolmentInput {
  readonly kind: 'EnrolmentRequested';
  readonly hostname: string;
  readonly nonce: string;
  /** SHA-256 hex of the request in DER. */
  readonly csrHash: string;
  /** Base64 SHA-256 of its public key. */
  readonly keyFingerprint: string;
  readonly tokenExpiresAt: Time;
  readonly nonceExpiresAt: Time;
  readonly certificate: PlannedCertificate;
}

/** A token that the organisation signed, and that a replica refused all the same: somebody may try one he found. */
export interface EnrolmentRefusedInput {
  readonly kind: 'EnrolmentRefused';
  readonly hostname: string;
  readonly nonce: string;
  readonly keyFingerprint: string;
  readonly code: string;
  readonly detail: string;
}

/** A host is about to be given a certificate for a new key. */
export interface RenewalInput {
  readonly kind: 'CertificateRenewed';
  readonly hostname: string;
  readonly csrHash: string;
  readonly keyFingerprint: string;
  /** Of the key it proved itself with; null where nobody proves anything. */
  readonly previousKeyFingerprint: string | null;
  readonly certificate: PlannedCertificate;
}

export type OperatorCommand =
  | { readonly command: 'PauseChannel' | 'ResumeChannel'; readonly channel: string }
  | { readonly command: 'PauseFleet' | 'ResumeFleet' }
  | { readonly command: 'CancelRollout' | 'ClearRollout'; readonly rolloutId: string }
  | { readonly command: 'ClearQuarantine'; readonly channel: string; readonly closure: string }
  | {
      readonly command: 'HoldHost' | 'ReleaseHost' | 'WithdrawDispatch' | 'WriteOffHost';
      readonly hostname: string;
    }
  | CreateToken
  | { readonly command: 'RevokeToken'; readonly tokenId: string };

/** Its secret is no business of the core's: only whoever made the token has that. */
export interface CreateToken {
  readonly command: 'CreateToken';
  readonly tokenId: string;
  readonly name: string;
  readonly role: 'viewer' | 'operator' | 'admin';
  readonly channels: readonly string[] | null;
  readonly lifetimeHours: number;
}

export interface OperatorInput {
  readonly kind: 'OperatorCommand';
  readonly actor: string;
  readonly reason: string;
  readonly expectedSeq: number | null;
  readonly command: OperatorCommand;
}

/** One thing that happened. `observed` is there only when the leader was asked to look (see `observationNeeds`). */
export type Input = (
  | AgentEventInput
  | RefusedEventInput
  | HostReportInput
  | ManifestSetInput
  | VerifyOutcomeInput
  | TrustChangedInput
  | LivenessInput
  | TickInput
  | RetentionInput
  | LeadershipInput
  | OperatorInput
  | EnrolmentInput
  | EnrolmentRefusedInput
  | RenewalInput
) & { readonly observed?: Observed };

/** What the leader must look up, under lock, before it may reduce an input. */
export interface ObservationNeeds {
  /** Lock and read the offers of every dispatch of these rollouts. */
  readonly rollouts: readonly string[];
  /** Lock and read the offers of every dispatch of these hosts, and when they were last heard. */
  readonly hosts: readonly string[];
}
