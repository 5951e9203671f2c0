/**
 * What an agent reports about one rollout, in order of its own `seq`. Names and casing are the wire's
 * (existing agents send them); times are canonical after decoding. The same events are made locally by an
 * agent's workers and applied remotely by the control plane: one vocabulary, one transition.
 */
import type { Time } from '../time.ts';

export type ProbeMode = 'enforce' | 'observe' | 'disabled';
export type ProbeVerdict = 'pass' | 'fail';
export type HealthPolicy = 'halt' | 'rollback-and-halt';

export interface DeclaredProbe {
  readonly probeName: string;
  readonly kind: string;
  readonly mode: ProbeMode;
}

/** One control of an evidence probe (a compliance framework's article, say). */
export interface SubResult {
  readonly controlId: string;
  readonly status: ProbeVerdict;
  readonly framework: string;
  readonly article?: string;
  /** Absent means `enforce`. */
  readonly effectiveMode?: ProbeMode;
  readonly overrideReason?: string;
}

interface Seq {
  /** The agent's own counter for this rollout, 1 … 2^53−1. */
  readonly seq: number;
}

export type HostEvent =
  | (Seq & {
      readonly kind: 'DispatchAck';
      readonly currentClosureAtDispatch: string;
      readonly receivedAt: Time;
    })
  | (Seq & {
      readonly kind: 'ActivationStarted';
      readonly startedAt: Time;
      readonly switchMethod: string;
    })
  | (Seq & {
      readonly kind: 'ActivationCompleted';
      readonly observedCurrentClosure: string;
      readonly exitCode: number;
      readonly completedAt: Time;
    })
  | (Seq & {
      readonly kind: 'ActivationFailed';
      readonly exitCode: number;
      readonly stderrTail: string;
      readonly failedAt: Time;
    })
  | (Seq & {
      readonly kind: 'ActivationDeferred';
      readonly component: string;
      readonly deferredAt: Time;
    })
  | (Seq & {
      readonly kind: 'ProbeTopologyDeclared';
      readonly probes: readonly DeclaredProbe[];
      readonly declaredAt: Time;
    })
  | (Seq & {
      readonly kind: 'ProbeObservedFirst';
      readonly probeName: string;
      readonly mode: ProbeMode;
      readonly observedAt: Time;
    })
  | (Seq & {
      readonly kind: 'ProbeResult';
      readonly probeName: string;
      readonly mode: ProbeMode;
      readonly status: ProbeVerdict;
      readonly observedAt: Time;
      readonly failureReason?: string;
      readonly subResults?: readonly SubResult[];
    })
  | (Seq & {
      readonly kind: 'ProbeFailureFirst';
      readonly probeName: string;
      readonly mode: ProbeMode;
      readonly firstFailedAt: Time;
    })
  | (Seq & {
      readonly kind: 'Failed';
      readonly failedAt: Time;
      readonly sustainedDurationSecs: number;
      readonly failingProbes: readonly string[];
      readonly policyApplied: HealthPolicy;
    })
  | (Seq & {
      readonly kind: 'RollbackComplete';
      readonly revertedToClosure: string;
      readonly exitCode: number;
      readonly completedAt: Time;
    })
  | (Seq & {
      readonly kind: 'Converged';
      readonly convergedAt: Time;
      readonly currentClosure: string;
    });

export type HostEventKind = HostEvent['kind'];
