/**
 * What the API is given. It is stateless apart from parked polls and a little short-lived memory: whatever
 * it accepts goes to the queue, whatever it answers comes from committed rows.
 */
import type { SecureVersion } from 'node:tls';
import type { Pool } from '../db/pool.ts';
import type { Follower } from '../eventlog/follow.ts';
import type { StoredInput } from '../wire/input.ts';
import type { KeyedRequest } from '../queue/keyed.ts';
import type { Verdict } from '../reducer/log.ts';
import type { Clock, Logger, MetricsRegistry } from '../telemetry.ts';
import type { KeptMaterial } from './listen/files.ts';
import type { ProxyListen } from './listen/proxies.ts';
import type { EnrolmentOptions } from './enrolment/enrolment.ts';

export type Submitted =
  /** Committed and decided; `seqs` are the log rows it led to. */
  | { readonly status: 'judged'; readonly verdict: Verdict; readonly seqs: readonly number[] }
  /** Committed to the queue; no verdict within the wait. */
  | { readonly status: 'queued' }
  /** Nothing is stored, and this input never can be: the database refuses its very values. */
  | { readonly status: 'invalid'; readonly detail: string }
  /** Not accepted: nothing is known to be stored. */
  | { readonly status: 'unavailable'; readonly why: string; readonly retryAfterSecs: number };

/** The queue's entrance. Never rejects for anything that the database or the leader may do. */
export type Submit = (
  input: StoredInput,
  options: { readonly waitMs: number },
) => Promise<Submitted>;

/** As `Submit`, for an operator's command under its Idempotency-Key. */
export type SubmitCommand = (
  request: KeyedRequest,
  options: { readonly waitMs: number },
) => Promise<
  | (Exclude<Submitted, { readonly status: 'unavailable' }> & { readonly repeated: boolean })
  /** The key belongs to another request. */
  | { readonly status: 'reused' }
  | Extract<Submitted, { readonly status: 'unavailable' }>
>;

/** Something may have been committed that parked polls wait for. A hint: hints may be lost. */
export interface WakeSource {
  subscribe(listener: () => void): () => void;
}

export interface Readiness {
  readonly ready: boolean;
  /** Why not, each a sentence. */
  readonly reasons: readonly string[];
}

export interface ApiLimits {
  /** How long events and reporting heartbeats wait for a verdict. */
  readonly verdictWaitMs: number;
  /** Time a client has to send a whole request. */
  readonly requestTimeoutMs: number;
  readonly maxParkedPolls: number;
  /** Streams of the event log. */
  readonly maxEventStreams: number;
  readonly maxConnections: number;
  /** Of one caller, and of all together; more is 503 for agents, 429 for operators. */
  readonly identityRequestsPerSecond: number;
  readonly requestsPerSecond: number;
  /** Age at which a connection closes after its next answer. */
  readonly connectionMaxMs: number;
}

/** What this replica knows of certificates. */
export interface CertificateOptions {
  readonly material: KeptMaterial;
  /** Ending of an agent certificate's name that is not part of the host name. */
  readonly hostnameSuffix: string;
  readonly minVersion: SecureVersion;
  /** Where proxies that forward certificates reach this process; null: they do not. */
  readonly proxies: ProxyListen | null;
}

export interface ApiDeps {
  readonly submit: Submit;
  readonly submitCommand: SubmitCommand;
  readonly pool: Pool;
  /** For writes to presence: a lock on that table holds up nothing else. */
  readonly presencePool: Pool;
  /** The committed state, for what explains and previews. */
  readonly committed: Follower;
  readonly wake: WakeSource;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: MetricsRegistry;
  /** In [0, 1): for jitter. */
  readonly random: () => number;
  readonly readiness: () => Promise<Readiness>;
  /** This process's name among its peers. */
  readonly replica: string;
  /** Believe `X-Muster-Dev-Identity`; refused unless the listener is loopback. */
  readonly devIdentity: boolean;
  readonly certificates: CertificateOptions;
  /** No agent is served before a signed list of revocations was verified. */
  readonly needsRevocations: boolean;
  /** Null: this replica issues no certificates. */
  readonly enrolment: EnrolmentOptions | null;
  /** Base URL of the binary cache whose narinfo agents may ask for; null: none. */
  readonly closureSource: string | null;
  /** Minutes: what agents accept of a signature's age at the most. */
  readonly agentFreshnessMinutes: number;
  readonly limits: ApiLimits;
}
