/**
 * How rooms speak to those who run them: one typed list of every metric with its labels and its meaning (area by area
 * in `telemetry/`; the documentation is printed from it, the prom-client objects are built from it), and the small
 * interfaces of logger, metrics and clock that every room takes as arguments instead of importing.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { API_METRICS } from './telemetry/api.ts';
import { DATABASE_METRICS } from './telemetry/database.ts';
import { FLEET_METRICS } from './telemetry/fleet.ts';
import { LEADER_METRICS } from './telemetry/leader.ts';
import { QUEUE_METRICS } from './telemetry/queue.ts';
import { WORKER_METRICS } from './telemetry/workers.ts';
import { SECONDS, type MetricSpec } from './telemetry/spec.ts';

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

/** 24.8 days: the longest delay that a Node timer takes; a longer one fires at once. Soaks may be of a year. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, task) {
    let timer: NodeJS.Timeout;
    const arm = (left: number): void => {
      const later = left - LONGEST_TIMER_MS;
      timer = later > 0 ? setTimeout(arm, LONGEST_TIMER_MS, later) : setTimeout(task, left);
      timer.unref();
    };
    arm(ms);
    return () => {
      clearTimeout(timer);
    };
  },
};

/** Every metric, area by area. Names are stable; labels are few and never hold a host, a rollout or free text. */
export const METRICS = {
  ...API_METRICS,
  ...WORKER_METRICS,
  ...QUEUE_METRICS,
  ...LEADER_METRICS,
  ...FLEET_METRICS,
  ...DATABASE_METRICS,
} as const;

type Specs = typeof METRICS;
export type MetricName = keyof Specs;
type OfType<T extends MetricSpec['type']> = {
  [Name in MetricName]: Specs[Name]['type'] extends T ? Name : never;
}[MetricName];
export type CounterName = OfType<'counter'>;
export type GaugeName = OfType<'gauge'>;
export type HistogramName = OfType<'histogram'>;
/** Gauges without labels. */
export type WatchedName = {
  [Name in GaugeName]: Specs[Name]['labels'] extends readonly [] ? Name : never;
}[GaugeName];
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
  /** A gauge that is asked anew whenever somebody looks: what it counts costs nothing meanwhile. */
  watch(name: WatchedName, read: () => number): void;
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

/** Each observes the collector and the event loop for as long as the process lives. */
let isCollecting = false;

/**
 * A fresh set of prom-client instruments, one per entry of METRICS. `ofProcess`: with those that every Node process has
 * (CPU, memory, heap, event loop, open files), once a process.
 */
export function createMetrics({ ofProcess = false } = {}): MetricsRegistry {
  const registry = new Registry();
  if (ofProcess && !isCollecting) {
    isCollecting = true;
    collectDefaultMetrics({ register: registry });
  }
  const { counters, gauges, histograms } = build(registry, METRICS);
  const forget = (name: GaugeName): void => {
    gauges.get(name)?.reset();
    // Without labels a reset leaves a 0 behind, which would be a measurement.
    if (METRICS[name].labels.length === 0) gauges.get(name)?.remove();
  };
  for (const name of MEASURED) forget(name);
  const watched = new Map<WatchedName, () => number>();
  return {
    contentType: registry.contentType,
    expose: () => {
      for (const [name, read] of watched) gauges.get(name)?.set(read());
      return registry.metrics();
    },
    watch: (name, read) => void watched.set(name, read),
    count: (name, labels, by = 1) => counters.get(name)?.inc(labels, by),
    set: (name, labels, value) => gauges.get(name)?.set(labels, value),
    observe: (name, labels, value) => histograms.get(name)?.observe(labels, value),
    clear: forget,
  };
}
