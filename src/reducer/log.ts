/**
 * What one input became: log rows in order, each with the state changes it makes, and a verdict for
 * whoever asked. A row's `changes` are assignments; applying them is the only way state ever changes, here,
 * in a replay and in the tables alike, so the fold of the log is the state by construction.
 */
import type { Change } from './state/change.ts';

export type LogKind =
  | 'agent_event'
  | 'host_report'
  | 'transition'
  | 'rollout_event'
  | 'plan_action'
  | 'gate_decision'
  | 'verify_outcome'
  | 'manifest_set'
  | 'operator_command'
  | 'liveness'
  | 'leadership'
  | 'enrolment';

export interface LogEntry {
  /** 1, 2, 3 … in commit order, assigned by the sole writer. */
  readonly seq: number;
  readonly kind: LogKind;
  readonly hostname: string | null;
  readonly rolloutId: string | null;
  readonly channel: string | null;
  readonly actor: string | null;
  /** The seq of the row that led to this one; null for an input's own row. */
  readonly causedBy: number | null;
  /** Row-specific facts, JSON. Its schema, versioned, is in `src/wire/log.ts`. */
  readonly payload: Readonly<Record<string, unknown>>;
  readonly changes: readonly Change[];
}

export type RefusalCode =
  | 'seq-regression'
  | 'illegal-transition'
  | 'invariant-violated'
  | 'unknown-rollout-host'
  | 'unknown-kind'
  | 'malformed'
  | 'too-large'
  | 'not-found'
  | 'rollback'
  | 'stale-expectation'
  | 'illegal-command'
  | 'nonce-used'
  | 'token-expired';

/** What became of an input. A duplicate (seq at or below the last applied) is no refusal to its sender. */
export type Verdict =
  | { readonly status: 'applied' }
  | { readonly status: 'duplicate'; readonly lastEventSeq: number }
  | { readonly status: 'noop' }
  | {
      readonly status: 'refused';
      readonly code: RefusalCode;
      readonly detail: string;
      readonly state: string | null;
      readonly lastEventSeq: number | null;
    };

export interface ReduceResult {
  readonly entries: readonly LogEntry[];
  readonly verdict: Verdict;
}
