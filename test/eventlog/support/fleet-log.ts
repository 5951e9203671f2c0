/**
 * A log of any length, as a fleet of this size would write it: release after release, every host through the
 * whole of its journey. Decided by the real core, chained, and stored with the state that follows from it.
 */
import type { Sql } from '../../../src/db/driver.ts';
import { chainEntries, insertRows, makePartitionsAhead } from '../../../src/eventlog/append.ts';
import { GENESIS } from '../../../src/eventlog/chain.ts';
import { pieces } from '../../../src/eventlog/pieces.ts';
import { writeTouched } from '../../../src/eventlog/write-tables.ts';
import type { FleetContent, ManifestContent } from '../../../src/reducer/content.ts';
import type { HostEvent } from '../../../src/reducer/host/events.ts';
import type { Input } from '../../../src/reducer/input.ts';
import type { LogEntry } from '../../../src/reducer/log.ts';
import { observationNeeds, reduce } from '../../../src/reducer/reduce.ts';
import { touched } from '../../../src/reducer/state/touched.ts';
import { emptyState, type FleetState } from '../../../src/reducer/state/state.ts';
import { timeOf, type Millis } from '../../../src/reducer/time.ts';

export interface FleetLogOptions {
  readonly hosts: number;
  readonly rows: number;
}

const START: Millis = Date.parse('2026-01-01T00:00:00.000Z');
const CHANNELS = ['stable', 'edge', 'database', 'laptops'];

function refOf(number: number): string {
  return number.toString(16).padStart(40, 'c0ffee');
}

function closureOf(number: number): string {
  return `${number.toString(36).padStart(32, '0')}-nixos-system-web-26.05`;
}

function hostsOf(channel: string, hosts: number): string[] {
  const count = Math.ceil(hosts / CHANNELS.length);
  return Array.from({ length: count }, (_, i) => `${channel}-${String(i).padStart(5, '0')}`);
}

/** What commit `number` declares: a new closure for every host. */
function declared(hosts: number, number: number, now: Millis) {
  const ref = refOf(number);
  const signedAt = timeOf(now);
  const fleet: FleetContent = {
    hash: `fleet-${ref}`,
    signedAt,
    ref,
    hosts: new Map(
      CHANNELS.flatMap((channel) =>
        hostsOf(channel, hosts).map((h) => [h, { channel, closureHash: closureOf(number) }]),
      ),
    ),
    channels: new Map(
      CHANNELS.map((name) => [name, { rolloutPolicy: 'all', freshnessWindow: 100_000 }]),
    ),
    policies: new Map([
      ['all', { waves: [], onHealthFailure: 'halt', onNewRef: 'supersede', maxFailures: hosts }],
    ]),
    waves: new Map(
      CHANNELS.map((name) => [name, [{ hosts: hostsOf(name, hosts), soakMinutes: 0 }]]),
    ),
    edges: [],
    channelEdges: [],
  };
  const manifests: ManifestContent[] = CHANNELS.map((channel) => ({
    rolloutId: `${channel}@${ref}`,
    hash: `manifest-${channel}-${ref}`,
    displayName: `${channel} ${ref.slice(-8)}`,
    channel,
    channelRef: ref,
    signedAt,
    hostSet: hostsOf(channel, hosts).map((hostname) => ({
      hostname,
      waveIndex: 0,
      targetClosure: closureOf(number),
    })),
    maxFailures: hosts,
    budgets: [],
  }));
  return { fleet, manifests };
}

function journey(at: string, closure: string, before: string): HostEvent[] {
  const probe = { probeName: 'http-health', mode: 'enforce' as const };
  return [
    { kind: 'DispatchAck', seq: 1, currentClosureAtDispatch: before, receivedAt: at },
    { kind: 'ActivationStarted', seq: 2, startedAt: at, switchMethod: 'switch' },
    {
      ...{ kind: 'ActivationCompleted', seq: 3, observedCurrentClosure: closure },
      ...{ exitCode: 0, completedAt: at },
    },
    {
      kind: 'ProbeTopologyDeclared',
      seq: 4,
      probes: [{ ...probe, kind: 'tcp' }],
      declaredAt: at,
    },
    { kind: 'ProbeObservedFirst', seq: 5, ...probe, observedAt: at },
    { kind: 'ProbeResult', seq: 6, ...probe, status: 'pass', observedAt: at },
    { kind: 'Converged', seq: 7, convergedAt: at, currentClosure: closure },
  ];
}

/** Inputs without end, in order. */
function* inputs(hosts: number): Generator<{ readonly now: Millis; readonly input: Input }> {
  let now = START;
  const tick = (): Millis => (now += 7);
  yield {
    now,
    input: { kind: 'LeaderStarted', epoch: 1, holder: 'a', version: '1', incarnation: 'i' },
  };
  for (const channel of CHANNELS) {
    for (const hostname of hostsOf(channel, hosts))
      yield { now: tick(), input: report(hostname, now) };
  }
  for (let number = 1; ; number += 1) {
    yield { now: tick(), input: { kind: 'ManifestSetUpdated', ...declared(hosts, number, now) } };
    for (const channel of CHANNELS) {
      const rolloutId = `${channel}@${refOf(number)}`;
      for (const hostname of hostsOf(channel, hosts)) {
        const at = timeOf(tick());
        for (const event of journey(at, closureOf(number), closureOf(number - 1)))
          yield { now: tick(), input: { kind: 'AgentEvent', hostname, rolloutId, event } };
      }
    }
  }
}

function report(hostname: string, now: Millis): Input {
  return {
    ...{ kind: 'HostReport', hostname, at: timeOf(now), currentClosure: closureOf(0) },
    ...{ rolloutId: null, agentVersion: '0.2.0', lastEventSeqByRollout: {} },
  };
}

/** Rows between two writes. */
const ROWS = 5_000;

/** Writes the log and the tables; the database must be empty. Returns the state that was reached. */
export async function writeFleetLog(
  run: <T>(statements: (sql: Sql) => Promise<T>) => Promise<T>,
  options: FleetLogOptions,
): Promise<FleetState> {
  const state = emptyState();
  let entries: LogEntry[] = [];
  let rows: ReturnType<typeof chainEntries> = [];
  let hash: Uint8Array = GENESIS;
  await run((sql) => makePartitionsAhead(sql, options.rows + 1_000_000));
  const flush = async (): Promise<void> => {
    for (const piece of pieces(rows)) await run((sql) => insertRows(sql, piece));
    const changed = touched(state, entries);
    await run(async (sql) => {
      for (const statement of writeTouched(sql, changed)) await statement();
    });
    entries = [];
    rows = [];
  };
  for (const { now, input } of inputs(options.hosts)) {
    const needs = observationNeeds(state, input, now);
    const observed = needs === null ? {} : { observed: { offers: [], heard: [] } };
    const decided = reduce(state, { ...input, ...observed }, now);
    const made = chainEntries(decided.entries, timeOf(now), 1, hash);
    hash = made.at(-1)?.hash ?? hash;
    for (const entry of decided.entries) entries.push(entry);
    for (const row of made) rows.push(row);
    if (rows.length >= ROWS) await flush();
    if (state.headSeq >= options.rows) break;
  }
  await flush();
  return state;
}
