/**
 * How rooms speak to those who run them: one typed list of every metric with its labels and its meaning
 * (the documentation is printed from it, the prom-client objects are built from it), and the small
 * interfaces of logger, metrics and clock that every room takes as arguments instead of importing.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** What we use of pino: fields first, then a sentence. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(bindings: Record<string, unknown>): Logger;
}

/** Says nothing: for commands that tell their user themselves. */
export const silent: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
};

/** How long a warning that was said is not said again: an outage of 10 s is two lines, not thousands. */
const ONCE_IN_MS = 10_000;

/**
 * The same log, but a warning that repeats is said once in 10 s; the next line then counts the ones in
 * between as `alike`. For rooms that warn once per request, when all requests fail for one reason.
 */
export function sparing(log: Logger, clock: Clock): Logger {
  const silent = new Map<string, { alike: number; fields: object }>();
  const warn = (fields: object, message: string): void => {
    const repeated = silent.get(message);
    if (repeated !== undefined) {
      repeated.alike += 1;
      repeated.fields = fields;
      return;
    }
    log.warn(fields, message);
    silent.set(message, { alike: 0, fields });
    clock.after(ONCE_IN_MS, () => {
      const since = silent.get(message);
      silent.delete(message);
      if (since !== undefined && since.alike > 0)
        log.warn({ ...since.fields, alike: since.alike }, message);
    });
  };
  return {
    debug: (fields, message) => log.debug(fields, message),
    info: (fields, message) => log.info(fields, message),
    warn,
    error: (fields, message) => log.error(fields, message),
    child: (bindings) => sparing(log.child(bindings), clock),
  };
}

/** Time as an argument. `now` may jump, `monotonic` may not; both in milliseconds. */
export interface Clock {
  now(): number;
  monotonic(): number;
  /** Runs `task` once after `ms` unless the returned function is called first. Never keeps the process alive. */
  after(ms: number, task: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, task) {
    const timer = setTimeout(task, ms);
    timer.unref();
    return () => {
      clearTimeout(timer);
    };
  },
};

interface MetricSpec {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  readonly help: string;
  /** Histograms only: upper bounds, in seconds unless the name says otherwise. */
  readonly buckets?: readonly number[];
  /** Set by the one process that works, of the whole installation; absent in all others. */
  readonly measured?: true;
}

/** From a cached read (0.5 ms) to an agent's own timeout (10 s), and the longest poll (60 s). */
const SECONDS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60,
] as const;
/** Gathered statements carry 1 to a few thousand rows. */
const ROWS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000] as const;

/** Every metric. Names are stable; labels are few and never hold a host, a rollout or free text. */
export const METRICS = {
  muster_http_requests_total: {
    type: 'counter',
    labels: ['method', 'route', 'status'],
    help: 'HTTP requests answered, by route pattern and status.',
  },
  muster_http_request_seconds: {
    type: 'histogram',
    labels: ['route'],
    help: 'From the first byte of a request to its answer. Dispatch includes the time it was parked.',
    buckets: SECONDS,
  },
  muster_api_events_total: {
    type: 'counter',
    labels: ['outcome'],
    help: 'Agent events by what became of them: applied, duplicate, noop, refused, queued, unavailable.',
  },
  muster_api_heartbeats_total: {
    type: 'counter',
    labels: ['path'],
    help: 'Heartbeats: `read` were answered from committed state, `input` became a queued host report.',
  },
  muster_api_replays_total: {
    type: 'counter',
    labels: [],
    help: 'Heartbeats answered with a Replay-From.',
  },
  muster_api_snapshots_total: {
    type: 'counter',
    labels: [],
    help: 'Rollout snapshots handed to agents with a heartbeat.',
  },
  muster_api_certificates_total: {
    type: 'counter',
    labels: ['kind', 'outcome'],
    help: 'Certificates asked for, by `enrol` or `renew`, and what became of it: `issued`, or the code of the refusal.',
  },
  muster_api_refused_identities_total: {
    type: 'counter',
    labels: ['reason'],
    help: 'Requests refused for who sent them: nobody proved anything (`unauthenticated`), a proof that does not hold (`certificate`, `expired`, `revoked`, `forwarded`, `token`, `token-expired`), or one that does not reach as far (`wrong-identity`, `wrong-host`, `needs-operator`, `needs-admin`, `outside-scope`).',
  },
  muster_certificate_expiry_time_seconds: {
    type: 'gauge',
    labels: ['of'],
    help: 'When the first certificate ends that this process presents or goes by, Unix time in seconds: `server`, authorities of `agents`, `operators` and `proxies`, and the `enrolment` authority that it issues under.',
  },
  muster_api_shed_total: {
    type: 'counter',
    labels: ['why'],
    help: 'Requests answered 503 because something was full, away or stopping.',
  },
  muster_api_parked_polls: {
    type: 'gauge',
    labels: [],
    help: 'Dispatch long polls waiting on this replica.',
  },
  muster_strict: {
    type: 'gauge',
    labels: [],
    help: '1 in strict mode; 0 where it is switched off, or off for development.',
  },
  muster_api_event_streams: {
    type: 'gauge',
    labels: [],
    help: 'Streams of the event log open on this replica.',
  },
  muster_api_offers_total: {
    type: 'counter',
    labels: [],
    help: 'Dispatches offered to agents by this replica, repeats included.',
  },
  muster_api_gathered_rows: {
    type: 'histogram',
    labels: ['statement'],
    help: 'How many callers shared one statement of the API.',
    buckets: ROWS,
  },
  muster_worker_runs_total: {
    type: 'counter',
    labels: ['worker', 'outcome'],
    help: 'Runs of each worker (manifests, liveness, tick, retention, log, measure) that went ok or failed.',
  },
  muster_verifications_total: {
    type: 'counter',
    labels: ['outcome'],
    help: 'Signed artifacts verified, by outcome: ok, or the reason of the refusal.',
  },
  muster_manifest_poll_time_seconds: {
    type: 'gauge',
    labels: [],
    help: 'When the source was last polled to the end, Unix time in seconds.',
  },
  muster_queue_inputs_total: {
    type: 'counter',
    labels: ['outcome'],
    help: 'Inputs handed to the queue by what the caller learned: judged, queued, invalid, queue-full, database-away, draining.',
  },
  muster_queue_gathered_rows: {
    type: 'histogram',
    labels: [],
    help: 'How many inputs shared one INSERT.',
    buckets: ROWS,
  },
  muster_queue_verdict_seconds: {
    type: 'histogram',
    labels: [],
    help: 'From submitting an input to its verdict, where it came in time.',
    buckets: SECONDS,
  },
  muster_queue_rows: {
    type: 'gauge',
    labels: [],
    help: 'Inputs waiting for the leader, as this replica last saw it; counted up to the limit.',
  },
  muster_queue_bytes: {
    type: 'gauge',
    labels: [],
    help: 'Payloads of those inputs in bytes; the queue is also full at 4 KiB for each row of its limit.',
  },
  muster_queue_oldest_seconds: {
    type: 'gauge',
    labels: [],
    help: 'Age of the oldest waiting input.',
  },
  muster_leader_leading: {
    type: 'gauge',
    labels: [],
    help: '1 while this process leads.',
  },
  muster_leader_epoch: {
    type: 'gauge',
    labels: [],
    help: 'The last epoch that this process led in.',
  },
  muster_leader_terms_ended_total: {
    type: 'counter',
    labels: ['why'],
    help: 'Terms of this process by how they ended: stopped, lock-lost, fenced, failed.',
  },
  muster_leader_new_databases_total: {
    type: 'counter',
    labels: [],
    help: 'Takeovers of this process that found another database than the term before: a promoted standby, or a restored backup.',
  },
  muster_leader_inputs_total: {
    type: 'counter',
    labels: ['kind', 'verdict'],
    help: 'Inputs decided and committed. `dead` could not be decided and are kept in dead_input.',
  },
  muster_leader_log_rows_total: {
    type: 'counter',
    labels: [],
    help: 'Event-log rows committed.',
  },
  muster_leader_batch_rows: {
    type: 'histogram',
    labels: [],
    help: 'How many inputs shared one commit.',
    buckets: ROWS,
  },
  muster_leader_commit_seconds: {
    type: 'histogram',
    labels: [],
    help: 'Writing and committing one batch.',
    buckets: SECONDS,
  },
  muster_leader_takeover_seconds: {
    type: 'histogram',
    labels: [],
    help: 'From winning the lock to the first commit, the loading of the state included.',
    buckets: SECONDS,
  },
  muster_rollouts: {
    type: 'gauge',
    labels: ['state'],
    help: 'Rollouts by state; pruned ones are not counted.',
    measured: true,
  },
  muster_rollout_idle_seconds: {
    type: 'gauge',
    labels: [],
    help: 'Longest time since anything moved in a rollout that is under way, not paused, and has nobody switching or soaking who is heard, beyond the soak of its wave.',
    measured: true,
  },
  muster_hosts: {
    type: 'gauge',
    labels: ['state'],
    help: 'Hosts by their state in the newest rollout of their channel; `closed` were written off or moved on.',
    measured: true,
  },
  muster_hosts_heard: {
    type: 'gauge',
    labels: ['reachability'],
    help: 'Declared hosts by whether they are heard: never, reachable, unreachable.',
    measured: true,
  },
  muster_hosts_blocked: {
    type: 'gauge',
    labels: ['gate'],
    help: 'Hosts that each gate or remark holds in the newest rollout of their channel; one host may be held by several.',
    measured: true,
  },
  muster_pauses: {
    type: 'gauge',
    labels: ['scope'],
    help: 'Pauses in force: of the fleet, of channels.',
    measured: true,
  },
  muster_manifest_fresh_seconds: {
    ...{ type: 'gauge', labels: [] },
    help: 'Seconds until the first manifest is too old to be dispatched by; negative: it is already.',
    measured: true,
  },
  muster_database_hears_notifications: {
    ...{ type: 'gauge', labels: [] },
    help: '1 while notifications of the database arrive at this process; at 0 everything waits for the next poll, half a second at most.',
  },
  muster_database_oldest_xmin_transactions: {
    ...{ type: 'gauge', labels: [] },
    help: "Transactions begun since the oldest snapshot that somebody holds, a standby's hot_standby_feedback included: vacuum cleans nothing newer. Others' sessions are seen only with pg_read_all_stats.",
    measured: true,
  },
  muster_database_oldest_transaction_seconds: {
    ...{ type: 'gauge', labels: [] },
    help: "Age of the oldest open transaction in the database, prepared ones included. Others' sessions are seen only with pg_read_all_stats.",
    measured: true,
  },
} as const satisfies Readonly<Record<string, MetricSpec>>;

type Specs = typeof METRICS;
export type MetricName = keyof Specs;
type OfType<T extends MetricSpec['type']> = {
  [Name in MetricName]: Specs[Name]['type'] extends T ? Name : never;
}[MetricName];
export type CounterName = OfType<'counter'>;
export type GaugeName = OfType<'gauge'>;
export type HistogramName = OfType<'histogram'>;
/** Gauges of the whole installation, set by the one process that works. */
export const MEASURED: readonly GaugeName[] = Object.entries(METRICS).flatMap(([name, spec]) =>
  'measured' in spec ? [name as GaugeName] : [],
);
type LabelName<Name extends MetricName> = Specs[Name]['labels'][number];
/** Exactly the labels that the list names; `{}` where it names none. */
export type LabelsOf<Name extends MetricName> = [LabelName<Name>] extends [never]
  ? Readonly<Record<string, never>>
  : Readonly<Record<LabelName<Name>, string | number>>;

/** Counters count up, gauges are set, histograms observe (seconds or rows). */
export interface Metrics {
  count<Name extends CounterName>(name: Name, labels: LabelsOf<Name>, by?: number): void;
  set<Name extends GaugeName>(name: Name, labels: LabelsOf<Name>, value: number): void;
  observe<Name extends HistogramName>(name: Name, labels: LabelsOf<Name>, value: number): void;
  /** Forgets a gauge's values: nobody measures it here any more. */
  clear(name: GaugeName): void;
}

/** The metrics of one process and their text for `/metrics`. */
export interface MetricsRegistry extends Metrics {
  readonly contentType: string;
  expose(): Promise<string>;
}

interface Instruments {
  readonly counters: Map<string, Counter>;
  readonly gauges: Map<string, Gauge>;
  readonly histograms: Map<string, Histogram>;
}

function build(registry: Registry, specs: Readonly<Record<string, MetricSpec>>): Instruments {
  const made: Instruments = { counters: new Map(), gauges: new Map(), histograms: new Map() };
  for (const [name, spec] of Object.entries(specs)) {
    const options = { name, help: spec.help, labelNames: [...spec.labels], registers: [registry] };
    if (spec.type === 'counter') made.counters.set(name, new Counter(options));
    else if (spec.type === 'gauge') made.gauges.set(name, new Gauge(options));
    else
      made.histograms.set(
        name,
        new Histogram({ ...options, buckets: [...(spec.buckets ?? SECONDS)] }),
      );
  }
  return made;
}

/** A fresh set of prom-client instruments, one per entry of METRICS. */
export function createMetrics(): MetricsRegistry {
  const registry = new Registry();
  const { counters, gauges, histograms } = build(registry, METRICS);
  const forget = (name: GaugeName): void => {
    gauges.get(name)?.reset();
    // Without labels a reset leaves a 0 behind, which would be a measurement.
    if (METRICS[name].labels.length === 0) gauges.get(name)?.remove();
  };
  for (const name of MEASURED) forget(name);
  return {
    contentType: registry.contentType,
    expose: () => registry.metrics(),
    count: (name, labels, by = 1) => counters.get(name)?.inc({ ...labels }, by),
    set: (name, labels, value) => gauges.get(name)?.set({ ...labels }, value),
    observe: (name, labels, value) => histograms.get(name)?.observe({ ...labels }, value),
    clear: forget,
  };
}
