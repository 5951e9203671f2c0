/** Simulated agents inside the test: the real runtime, with journals that the test can read afterwards. */
import { readFileSync } from 'node:fs';
import type { AgentSettings } from '../../../src/agent/agent.ts';
import { systemClock } from '../../../src/agent/clock.ts';
import { memoryStore, type JournalLine } from '../../../src/agent/journal.ts';
import { runSimulatedFleet } from '../../../src/agent/simulated-fleet.ts';
import { fleetCertificates, type Organisation } from '../../../src/cli/dev/organisation.ts';
import { decodeTrust, type Trust } from '../../../src/trust/trust-file.ts';

export const QUICK: AgentSettings = {
  heartbeatMs: 2_000,
  firstHeartbeatWithinMs: 200,
  probeIntervalMs: 200,
  sustainedFailureMs: 1_000,
  rebootCheckMs: 200,
};

export interface TestFleet {
  readonly warnings: readonly string[];
  /** `host rollout seq` of every event that was answered with a 2xx. */
  accepted(): Set<string>;
  stop(): Promise<void>;
}

export interface FleetOptions {
  readonly endpoint: string;
  readonly hosts: readonly string[];
  readonly trustFile: string;
  readonly freshnessMinutes?: number;
  readonly heartbeatMs?: number;
  /** What hosts run at first; default something old. */
  readonly closureOf?: (hostname: string) => string;
  /** Hosts enrol and prove who they are, as of this organisation. */
  readonly organisation?: Organisation;
  /** Journals of an earlier life. */
  readonly journals?: Map<string, JournalLine[]>;
}

function settingsOf({ heartbeatMs = QUICK.heartbeatMs }: FleetOptions): AgentSettings {
  return { ...QUICK, heartbeatMs };
}

export function readTrust(file: string): Trust {
  const decoded = decodeTrust(readFileSync(file));
  if (!decoded.ok) throw new Error(decoded.detail);
  return decoded.value;
}

export function startFleet(options: FleetOptions): TestFleet {
  const stop = new AbortController();
  const journals = options.journals ?? new Map<string, JournalLine[]>();
  const closureOf = options.closureOf ?? ((hostname: string) => `old-${hostname}`);
  const warnings: string[] = [];
  const running = runSimulatedFleet(
    {
      endpoint: options.endpoint,
      hosts: options.hosts.map((hostname) => ({ hostname, closure: closureOf(hostname) })),
      trust: readTrust(options.trustFile),
      ...{ seed: 'e2e', clock: systemClock, settings: settingsOf(options), activationMs: 300 },
      freshnessMinutes: options.freshnessMinutes ?? 60,
      misfortunes: { failSwitch: 0, failProbe: 0, deferSwitch: 0 },
      log: {
        info: () => undefined,
        warn: (facts, message) => void warnings.push(`${message} ${JSON.stringify(facts)}`),
      },
      storeOf: (hostname) => {
        const lines = journals.get(hostname) ?? [];
        journals.set(hostname, lines);
        return memoryStore(lines);
      },
      ...(options.organisation === undefined
        ? {}
        : { certificates: fleetCertificates(options.organisation) }),
    },
    stop.signal,
  );
  running.catch(() => undefined);
  return {
    warnings,
    accepted: () => acceptedIn(journals),
    stop: async () => {
      stop.abort();
      await running;
    },
  };
}

export function acceptedIn(journals: ReadonlyMap<string, readonly JournalLine[]>): Set<string> {
  const keys = new Set<string>();
  for (const [hostname, lines] of journals) {
    for (const line of lines) {
      if (line.t !== 'settled' || line.outcome !== 'accepted') continue;
      keys.add(`${hostname} ${line.rolloutId} ${line.seq}`);
    }
  }
  return keys;
}
