/**
 * The control plane as an agent sees it: five requests and what their answers mean. The HTTP form is in
 * `http-control-plane.ts`; tests bring their own. No method throws for anything that the network or the
 * server may do: trouble is an answer too.
 */
import type { HostEvent } from '../reducer/host/events.ts';
import type { HostState } from '../reducer/host/record.ts';
import type { Millis, Time } from '../reducer/time.ts';

/** The request did not get through, or got no answer that settles anything: try again. */
export interface Trouble {
  readonly kind: 'trouble';
  readonly reason: string;
  /** What Retry-After asked for; null when nothing did. */
  readonly retryAfterMs: Millis | null;
}

export type Delivery =
  | { readonly kind: 'accepted' }
  /** Judged, and never to be accepted as it stands: 409 with the control plane's view, 400 or 413. */
  | {
      readonly kind: 'refused';
      readonly status: number;
      readonly code: string;
      readonly detail: string;
    }
  | Trouble;

/** A host's record as the control plane offers it to an agent that lost its own. */
export interface Snapshot {
  readonly rolloutId: string;
  readonly hostname: string;
  readonly channel: string;
  readonly state: HostState;
  readonly targetClosure: string;
  readonly currentClosureAtDispatch?: string;
  readonly currentClosure?: string;
  readonly dispatchedAt: Time;
  readonly dispatchAckedAt?: Time;
  readonly activationStartedAt?: Time;
  readonly activationCompletedAt?: Time;
  readonly soakDueAt?: Time;
  readonly lastEventSeq: number;
}

export interface Heartbeat {
  readonly hostname: string;
  readonly rollout_id?: string;
  readonly current_closure: string;
  readonly at: Time;
  readonly agent_version: string;
  readonly uptime_secs: number;
  readonly last_event_seq_by_rollout: Readonly<Record<string, number>>;
}

export type HeartbeatAnswer =
  | {
      readonly kind: 'heard';
      readonly replayFrom: number | null;
      readonly bootstrap: readonly Snapshot[];
    }
  | Trouble;

export interface Dispatch {
  readonly rolloutId: string;
  readonly targetClosure: string;
  readonly soakDueAt: Time;
  readonly enqueuedAt: Time;
}

export type DispatchAnswer =
  { readonly kind: 'dispatch'; readonly dispatch: Dispatch } | { readonly kind: 'none' } | Trouble;

/** A signed artifact as it was served. */
export type ArtifactAnswer =
  | { readonly kind: 'artifact'; readonly bytes: Uint8Array; readonly etag: string | null }
  | { readonly kind: 'unchanged' }
  | Trouble;

export type ArtifactName = 'fleet.resolved' | `rollouts/${string}`;

export interface ControlPlane {
  postEvent(rolloutId: string, event: HostEvent, signal: AbortSignal): Promise<Delivery>;
  heartbeat(body: Heartbeat, signal: AbortSignal): Promise<HeartbeatAnswer>;
  dispatch(signal: AbortSignal): Promise<DispatchAnswer>;
}

/** Needs no identity of a host's own, so that many agents of one process may share it. */
export interface ArtifactSource {
  /** `etag` of what the caller already holds: the answer may then be `unchanged`. */
  artifact(name: ArtifactName, etag: string | null, signal: AbortSignal): Promise<ArtifactAnswer>;
  signature(name: ArtifactName, signal: AbortSignal): Promise<ArtifactAnswer>;
}
