/**
 * What one input costs in the core, and whether that grows with the fleet: rollouts are driven through, a
 * granted host at a time, while as many hosts as there are wait for the same budgets.
 */
import { machine } from './machine.ts';
import type { HostEvent } from '../src/reducer/host/events.ts';
import type { Input } from '../src/reducer/input.ts';
import type { LogEntry } from '../src/reducer/log.ts';
import { observationNeeds, reduceSliced } from '../src/reducer/reduce.ts';
import type { Sliced } from '../src/reducer/slices.ts';
import { emptyState, type FleetState } from '../src/reducer/state/state.ts';
import { timeOf, type Millis } from '../src/reducer/time.ts';
import { decodeStoredInput, hydrate, type StoredInput } from '../src/wire/input.ts';
import { contentOf, hostsOf, type Shape } from './fleet.ts';
import { percentiles, round } from './numbers.ts';

/** Events measured at least, and whole rollouts, so that what a new wave costs is spread as it is in life. */
const EVENTS = 100_000;
const EVENTS_PER_HOST = 6;
/** Below this many hosts what the engine keeps for itself hides what they take. */
const MEMORY_FROM = 10_000;
/** Not measured: until the engine has compiled what it will. */
const WARM_UP = 20_000;
/** Milliseconds of fleet time between two inputs: all within the manifests' hour of freshness. */
const PACE = 5;

interface Result {
  readonly usPerEvent: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  readonly firstPlanMs: number;
  readonly tickMs: number;
  /** Longest time that any input held the thread before it gave way or was done. */
  readonly longestStretchMs: number;
  /** After the first plan. Null where it cannot be told. */
  readonly bytesPerHost: number | null;
  /** The same when every host has come through: then its record is as large as it gets, but for more probes. */
  readonly bytesPerHostDone: number | null;
}

const SHAPES: Readonly<Record<string, Shape>> = {
  100: { channels: 1, hostsPerChannel: 100 },
  10000: { channels: 1, hostsPerChannel: 10_000 },
  100000: { channels: 1, hostsPerChannel: 100_000 },
  '200x500': { channels: 200, hostsPerChannel: 500 },
};

export function benchCore(json: boolean): void {
  measure({ channels: 1, hostsPerChannel: 1000 }, WARM_UP);
  const hosts: Record<string, Result> = {};
  for (const [name, shape] of Object.entries(SHAPES)) {
    const all = shape.channels * shape.hostsPerChannel;
    hosts[name] = measure(shape, Math.max(EVENTS, EVENTS_PER_HOST * all));
    if (!json) print(name, hosts[name]);
  }
  const [small, large] = [hosts['100'], hosts['100000']];
  if (small === undefined || large === undefined) return;
  const ratio100kTo100 = round(large.usPerEvent / small.usPerEvent);
  const { firstPlanMs, bytesPerHost } = large;
  const ratios = { ratio100kTo100, firstPlanMs, bytesPerHost };
  if (json) console.log(JSON.stringify({ machine: machine(null), hosts, ...ratios }));
  else
    console.log(`100,000 hosts to 100 hosts: ${String(ratio100kTo100)} times the time per event`);
}

function print(name: string, result: Result): void {
  const { usPerEvent, p50, p99, p999, max, firstPlanMs, tickMs } = result;
  const { bytesPerHost, bytesPerHostDone } = result;
  console.log(
    `${name.padStart(8)} hosts: ${String(usPerEvent)} µs/event (p50 ${String(p50)}, p99 ${String(p99)}, p99.9 ${String(p999)}, ` +
      `max ${String(max)}), first plan ${String(firstPlanMs)} ms, full tick ${String(tickMs)} ms, ` +
      `longest stretch ${String(result.longestStretchMs)} ms, ` +
      (bytesPerHost === null
        ? 'memory too small to tell'
        : `${String(bytesPerHost)} bytes/host, ${String(bytesPerHostDone)} when through`),
  );
}

function measure(shape: Shape, events: number): Result {
  const before = heap();
  const run = new Run(shape);
  const firstPlanMs = run.firstPlan();
  const all = shape.channels * shape.hostsPerChannel;
  const weigh = () => (all < MEMORY_FROM ? null : Math.round((heap() - before) / all));
  const bytesPerHost = weigh();
  const tickMs = run.tick();
  const micros = run.events(events);
  const bytesPerHostDone = weigh();
  const sum = micros.reduce((a, b) => a + b, 0);
  return {
    usPerEvent: round(sum / micros.length),
    ...percentiles(micros),
    ...{ firstPlanMs: round(firstPlanMs), tickMs: round(tickMs), bytesPerHost, bytesPerHostDone },
    longestStretchMs: round(run.longestStretchMs),
  };
}

class Run {
  private readonly shape: Shape;
  private readonly state: FleetState = emptyState();
  private now: Millis = Date.parse('2026-05-16T00:00:00.000Z');
  private number = 0;
  longestStretchMs = 0;
  /** Hosts that were granted, oldest first, each with what its agent says next. */
  private queue: { readonly rolloutId: string; readonly hostname: string; seq: number }[] = [];

  constructor(shape: Shape) {
    this.shape = shape;
  }

  /** Milliseconds to open everything and plan it, with every host there. */
  firstPlan(): number {
    for (const hostname of hostsOf(this.shape)) {
      this.reduce(fromQueue(heartbeat(hostname, timeOf(this.now))));
    }
    return this.declare();
  }

  /** Milliseconds of the safety net: a pass over everything. */
  tick(): number {
    const started = performance.now();
    this.reduce({ kind: 'Tick' });
    return performance.now() - started;
  }

  private declare(): number {
    this.number += 1;
    const content = contentOf(this.shape, this.number, this.now);
    const started = performance.now();
    this.reduce({ kind: 'ManifestSetUpdated', ...content });
    const elapsed = performance.now() - started;
    this.retire();
    return elapsed;
  }

  /** Retention, as the workers do it: a rollout that ended goes when it is history. */
  private retire(): void {
    for (const [rolloutId, { row }] of this.state.live) {
      if (row.state === 'Superseded') this.reduce({ kind: 'RetentionExpired', rolloutId });
    }
  }

  /** Microseconds of each of `count` agent events. */
  events(count: number): Float64Array {
    const micros = new Float64Array(count);
    for (let i = 0; i < count; i += 1) {
      while (this.queue.length === 0) this.declare();
      const next = this.queue.shift();
      if (next === undefined) break;
      const { rolloutId, hostname } = next;
      const event = eventAfter(next.seq, this.state, rolloutId, hostname, timeOf(this.now));
      const input = fromQueue({ kind: 'AgentEvent', hostname, rolloutId, event });
      const started = performance.now();
      observationNeeds(this.state, input, this.now);
      this.reduce(input);
      micros[i] = (performance.now() - started) * 1000;
      next.seq += 1;
      if (event.kind !== 'Converged') this.queue.push(next);
    }
    return micros;
  }

  private reduce(input: Input): void {
    this.now += PACE;
    const { entries, verdict } = this.timed(reduceSliced(this.state, input, this.now));
    if (verdict.status === 'refused') throw new Error(verdict.detail);
    for (const entry of entries) this.noteGrant(entry);
  }

  /** To its end, with an eye on the longest stretch. */
  private timed<T>(work: Sliced<T>): T {
    for (;;) {
      const started = performance.now();
      const slice = work.next();
      this.longestStretchMs = Math.max(this.longestStretchMs, performance.now() - started);
      if (slice.done === true) return slice.value;
    }
  }

  private noteGrant({ payload, rolloutId, hostname }: LogEntry): void {
    if (payload['action'] !== 'QueueDispatch' || rolloutId === null || hostname === null) return;
    this.queue.push({ rolloutId, hostname, seq: 0 });
  }
}

/** As the leader reads it: with strings of its own, which the state then holds. */
function fromQueue(input: StoredInput): Input {
  const stored = decodeStoredInput(input.kind, JSON.parse(JSON.stringify(input)));
  return hydrate(stored, () => null);
}

function heartbeat(hostname: string, at: string): StoredInput {
  return {
    ...{ kind: 'HostReport', hostname, at, currentClosure: 'before', rolloutId: null },
    ...{ agentVersion: null, lastEventSeqByRollout: {} },
  };
}

/** An ordinary host: six events, two of them probes. */
function eventAfter(
  last: number,
  state: FleetState,
  rolloutId: string,
  hostname: string,
  at: string,
): HostEvent {
  const seq = last + 1;
  const record = state.rollouts.get(rolloutId)?.records.get(hostname);
  if (record === undefined) throw new Error(`${hostname} has no record in ${rolloutId}`);
  const observedCurrentClosure = record.targetClosure;
  const probe = { probeName: 'nginx', mode: 'enforce', status: 'pass', observedAt: at } as const;
  switch (seq) {
    case 1:
      return { kind: 'DispatchAck', seq, currentClosureAtDispatch: 'before', receivedAt: at };
    case 2:
      return { kind: 'ActivationStarted', seq, startedAt: at, switchMethod: 'switch' };
    case 3:
      return {
        kind: 'ActivationCompleted',
        seq,
        observedCurrentClosure,
        exitCode: 0,
        completedAt: at,
      };
    case 4:
    case 5:
      return { kind: 'ProbeResult', seq, ...probe };
    default:
      return { kind: 'Converged', seq, convergedAt: at, currentClosure: observedCurrentClosure };
  }
}

/** Bytes in use after a collection; needs `node --expose-gc` to mean anything. */
function heap(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}
