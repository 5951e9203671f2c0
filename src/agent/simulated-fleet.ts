/**
 * Thousands of agents in one process, each the real runtime with its own journal, all through one pool of
 * connections towards one endpoint: what the control plane sees differs from a real fleet only in where the
 * connections come from.
 *
 * Sizes. A parked long poll needs a socket of its own, so a fleet of 2,000 holds 2,000, and as many file
 * descriptors here, twice that in a balancer and that many over all replicas; `muster dev`
 * looks at the limit before it starts. Everything short shares few sockets: an answer takes
 * milliseconds, so 64 of them carry several thousand requests a second.
 */
import type { Millis } from '../reducer/time.ts';
import type { Trust } from '../trust/trust-file.ts';
import { runAgent, type AgentSettings } from './agent.ts';
import { seededRandom, type Clock } from './clock.ts';
import type { AgentLog } from './hooks.ts';
import {
  connect,
  disconnect,
  httpArtifacts,
  httpControlPlane,
  type Connections,
} from './http-control-plane.ts';
import type { JournalStore } from './journal.ts';
import { Manifests } from './manifests.ts';
import { closureAfter, simulatedHost, type Misfortunes } from './simulated-host.ts';

export interface FleetHost {
  readonly hostname: string;
  /** What it runs before it ever took part in a rollout. */
  readonly closure: string;
}

export interface SimulatedFleetOptions {
  readonly endpoint: string;
  readonly hosts: readonly FleetHost[];
  readonly trust: Trust;
  readonly seed: string;
  readonly clock: Clock;
  readonly log: AgentLog;
  readonly settings: AgentSettings;
  readonly freshnessMinutes: number;
  readonly activationMs: Millis;
  readonly misfortunes: Misfortunes;
  storeOf(hostname: string): JournalStore;
}

/** See above. */
const SHORT_SOCKETS = 64;
/**
 * Agents here verify through one cache, and ask anew after this long. One answer serves all that a wave
 * wakes at once; a real agent asks each time.
 */
const REUSE_ARTIFACTS_MS = 2_000;

/** Runs every agent until `signal` aborts. Rejects if one of them cannot go on. */
export async function runSimulatedFleet(
  options: SimulatedFleetOptions,
  signal: AbortSignal,
): Promise<void> {
  const { endpoint, hosts, trust, clock, freshnessMinutes } = options;
  const connections = connect(endpoint, { hosts: hosts.length, requests: SHORT_SOCKETS });
  const first = hosts[0];
  if (first === undefined) return;
  const artifacts = httpArtifacts(connections, devIdentity(first.hostname));
  const manifests = new Manifests(artifacts, trust, clock, {
    freshnessMinutes,
    reuseMs: REUSE_ARTIFACTS_MS,
  });
  const crash = new AbortController();
  const life = AbortSignal.any([signal, crash.signal]);
  try {
    await Promise.all(
      hosts.map((host) =>
        runOne(options, host, connections, manifests, life).catch((error: unknown) => {
          crash.abort();
          throw error;
        }),
      ),
    );
  } finally {
    disconnect(connections);
  }
}

async function runOne(
  options: SimulatedFleetOptions,
  host: FleetHost,
  connections: Connections,
  manifests: Manifests,
  signal: AbortSignal,
): Promise<void> {
  const { hostname } = host;
  const { clock, settings, seed } = options;
  const store = options.storeOf(hostname);
  const closure = closureAfter(await store.load(), host.closure);
  const { activationMs, misfortunes } = options;
  await runAgent(
    {
      ...simulatedHost({ hostname, closure, seed, clock, activationMs, misfortunes }),
      ...{ hostname, manifests, store, clock, settings },
      controlPlane: httpControlPlane(connections, hostname, devIdentity(hostname)),
      random: seededRandom(`${seed}/agent/${hostname}`),
      log: named(options.log, hostname),
    },
    signal,
  );
}

/** Only a loopback listener that was told to accepts this. */
function devIdentity(hostname: string): Readonly<Record<string, string>> {
  return { 'x-muster-dev-identity': `agent:${hostname}` };
}

function named(log: AgentLog, hostname: string): AgentLog {
  return {
    info: (facts, message) => log.info({ hostname, ...facts }, message),
    warn: (facts, message) => log.warn({ hostname, ...facts }, message),
  };
}
