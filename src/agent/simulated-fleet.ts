/**
 * Thousands of agents in one process, each the real runtime with its own journal, all through one pool of
 * connections towards one endpoint: what the control plane sees differs from a real fleet only in where the
 * connections come from. Under certificates each has connections of its own, which hundreds may have.
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
import type { ArtifactSource, ControlPlane } from './control-plane.ts';
import type { CredentialParts } from './credentials.ts';
import { openEnrolled } from './enrolled.ts';
import type { AgentLog } from './hooks.ts';
import {
  artifactsOver,
  connect,
  controlPlaneOver,
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
  /** Prove who they are as hosts do; without it, as a development server believes it. */
  readonly certificates?: FleetCertificates;
}

export interface FleetCertificates {
  /** Whom to believe that it is the control plane, PEM. */
  readonly ca: string;
  credentialsOf(hostname: string): Pick<CredentialParts, 'dir' | 'name' | 'token'>;
}

/** See above. */
const SHORT_SOCKETS = 64;
/**
 * Agents here verify through one cache, and ask anew after this long. One answer serves all that a wave
 * wakes at once; a real agent asks each time.
 */
const REUSE_ARTIFACTS_MS = 2_000;

/** How one host reaches the control plane. */
interface Reach {
  readonly controlPlane: ControlPlane;
  readonly manifests: Manifests;
  /** Ends with the signal. */
  readonly kept: Promise<void>;
  close(): void;
}

/** Null when the signal aborted before. */
type Reaching = (hostname: string, signal: AbortSignal) => Promise<Reach | null>;

/** Runs every agent until `signal` aborts. Rejects if one of them cannot go on. */
export async function runSimulatedFleet(
  options: SimulatedFleetOptions,
  signal: AbortSignal,
): Promise<void> {
  const { hosts, certificates } = options;
  const [first] = hosts;
  if (first === undefined) return;
  const shared = connect(options.endpoint, { hosts: hosts.length, requests: SHORT_SOCKETS });
  const reaching =
    certificates === undefined
      ? overShared(options, shared, first.hostname)
      : underCertificates(options, certificates);
  const crash = new AbortController();
  const life = AbortSignal.any([signal, crash.signal]);
  try {
    await Promise.all(
      hosts.map((host) =>
        runOne(options, host, reaching, life).catch((error: unknown) => {
          crash.abort();
          throw error;
        }),
      ),
    );
  } finally {
    disconnect(shared);
  }
}

/** All through one pair of pools, each saying who it is: for development, and for thousands. */
function overShared(
  options: SimulatedFleetOptions,
  connections: Connections,
  reader: string,
): Reaching {
  const artifacts = httpArtifacts(connections, devIdentity(reader));
  const manifests = manifestsFrom(options, artifacts, REUSE_ARTIFACTS_MS);
  return (hostname) =>
    Promise.resolve({
      controlPlane: httpControlPlane(connections, hostname, devIdentity(hostname)),
      ...{ manifests, kept: Promise.resolve(), close: () => undefined },
    });
}

/** Each with connections, a certificate and a verification of its own, as hosts have. */
function underCertificates(
  options: SimulatedFleetOptions,
  certificates: FleetCertificates,
): Reaching {
  const { endpoint, clock, seed } = options;
  return async (hostname, signal) => {
    const random = seededRandom(`${seed}/certificate/${hostname}`);
    const log = named(options.log, hostname);
    const own = { ...certificates.credentialsOf(hostname), ca: certificates.ca };
    const enrolled = await openEnrolled({ ...own, endpoint, clock, random, log }, signal);
    if (enrolled === null) return null;
    const { carrier, kept } = enrolled;
    return {
      controlPlane: controlPlaneOver(carrier, hostname),
      manifests: manifestsFrom(options, artifactsOver(carrier), 0),
      ...{ kept, close: () => enrolled.close() },
    };
  };
}

function manifestsFrom(
  { trust, clock, freshnessMinutes }: SimulatedFleetOptions,
  artifacts: ArtifactSource,
  reuseMs: number,
): Manifests {
  return new Manifests(artifacts, trust, clock, { freshnessMinutes, reuseMs });
}

async function runOne(
  options: SimulatedFleetOptions,
  host: FleetHost,
  reaching: Reaching,
  signal: AbortSignal,
): Promise<void> {
  const { hostname } = host;
  const { clock, settings, seed } = options;
  const store = options.storeOf(hostname);
  const closure = closureAfter(await store.load(), host.closure);
  const { activationMs, misfortunes } = options;
  // Of its own, since a renewal waits on it for days: thousands of waits on one signal look like a leak.
  const life = AbortSignal.any([signal]);
  const reach = await reaching(hostname, life);
  if (reach === null) return;
  const { controlPlane, manifests, kept } = reach;
  const agent = runAgent(
    {
      ...simulatedHost({ hostname, closure, seed, clock, activationMs, misfortunes }),
      ...{ hostname, controlPlane, manifests, store, clock, settings },
      random: seededRandom(`${seed}/agent/${hostname}`),
      log: named(options.log, hostname),
    },
    life,
  );
  try {
    await Promise.all([agent, kept]);
  } finally {
    reach.close();
  }
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
