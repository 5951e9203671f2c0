/**
 * Where the planner's gates differ from the original's on purpose. Each rule says, for one host, which of this core's
 * gates the original has not (`lifts`), which it has beyond (`adds`), or that it says nothing of the host at all
 * (`silences`). Switched off, this is the original's view of it; switched on, ours.
 */
import type { Held } from '../../reducer/planner/gates/gate.ts';
import { isBusyElsewhere, type Host } from './planner-budgets.ts';
import type { Named } from './rule.ts';
import type { PlannerLine } from './shapes.ts';

/** A Pending host that has no dispatch yet, and the gates of this core that hold it, budgets left out. */
export interface Case {
  readonly line: PlannerLine;
  readonly host: Host;
  readonly held: Held;
  readonly gates: ReadonlySet<string>;
}

interface Rule extends Named {
  readonly lifts?: (found: Case) => readonly string[] | undefined;
  readonly adds?: (found: Case) => readonly string[] | undefined;
  readonly silences?: (found: Case) => boolean;
}

/** The original names one gate, the first that holds; gates that it has not come after its own. Budgets are last. */
const ORDER = [
  'quarantine',
  'channel-edges',
  'wave-promotion',
  'wave-promotion-host-unstaged',
  'host-edge',
  'compliance-wave',
  'host-busy',
];

export const GATE_RULES: readonly Rule[] = [
  {
    name: 'terminal-serves-returning-hosts',
    why: "rollouts, settled hosts: a returning host is dispatched 'even in a Terminal rollout'",
    silences: ({ held }) => held.rollout.row.state === 'Terminal',
  },
  {
    name: 'host-busy-is-a-gate',
    why: 'list of differences: gate host-busy is new',
    lifts: ({ line, host }) => when(isBusyElsewhere(line, host), ['host-busy']),
  },
  {
    name: 'host-missing-from-fleet-is-held',
    why: "gates, wave-promotion-host-unstaged: 'the host is in none: deny'",
    lifts: ({ line, host }) =>
      when(line.fleet.hosts[host.hostname] === undefined, ['wave-promotion-host-unstaged']),
  },
  {
    // The original looks a host's wave up in the channel that the fleet has it in today.
    name: 'waves-are-the-rollouts-own',
    why: "rollouts: 'host set with waves and targets' is pinned when it opens",
    lifts: (found) => when(isElsewhere(found), ['wave-promotion', 'wave-promotion-host-unstaged']),
    adds: (found) => when(isElsewhere(found), gatesElsewhere(found)),
  },
  {
    name: 'compliance-counts-soaking-and-converged-hosts',
    why: "gates, compliance-wave: failures 'on Soaking or Converged hosts of earlier waves'",
    adds: (found) => when(isFailingAnywhereBefore(found), ['compliance-wave']),
  },
  {
    // Recorded situations lack records of hosts that the manifest names; here a rollout has them all.
    name: 'a-rollout-has-every-record',
    why: "gates, host-edge: 'a gating host of the same rollout', which a host without a record is not",
    adds: (found) => when(isGatedByMissingRecord(found), ['host-edge']),
  },
];

/** `silent`, or the gate that the host is told, with the rules that are on; null: it may ask for a slot. */
export function gateOf(found: Case, on: ReadonlySet<string>): string | null {
  const off = GATE_RULES.filter(({ name }) => !on.has(name));
  if (off.some((rule) => rule.silences?.(found))) return 'silent';
  const lifted = new Set(off.flatMap((rule) => rule.lifts?.(found) ?? []));
  const gates = new Set([...found.gates].filter((gate) => !lifted.has(gate)));
  for (const gate of off.flatMap((rule) => rule.adds?.(found) ?? [])) gates.add(gate);
  return ORDER.find((gate) => gates.has(gate)) ?? null;
}

function when<T>(condition: boolean, value: T): T | undefined {
  return condition ? value : undefined;
}

function isElsewhere({ line, host, held }: Case): boolean {
  const channel = line.fleet.hosts[host.hostname]?.channel;
  return channel !== undefined && channel !== held.rollout.row.channel;
}

/** What the waves of the host's channel of today would say. */
function gatesElsewhere({ line, host, held }: Case): string[] {
  const waves = wavesToday(line, host);
  const wave = waveIn(waves, host.hostname);
  if (waves.length > 0 && wave < 0) return ['wave-promotion-host-unstaged'];
  return wave > held.rollout.row.currentWave ? ['wave-promotion'] : [];
}

/** Failures of earlier waves, but of none that runs the release: with another state, or without a record. */
function isFailingAnywhereBefore({ line, host }: Case): boolean {
  const waves = wavesToday(line, host);
  const own = waveIn(waves, host.hostname);
  const failing = Object.entries(line.outstandingEnforceFailures[host.rolloutId] ?? {})
    .filter(([name, n]) => n > 0 && waveIn(waves, name) >= 0 && waveIn(waves, name) < own)
    .map(([name]) => name);
  const isRunning = (name: string) =>
    line.hosts.some(
      ({ rolloutId, hostname, state }) =>
        rolloutId === host.rolloutId &&
        hostname === name &&
        (state === 'Soaking' || state === 'Converged'),
    );
  return failing.length > 0 && !failing.some(isRunning);
}

type Waves = PlannerLine['fleet']['waves'][string];

function wavesToday({ fleet }: PlannerLine, host: Case['host']): Waves {
  return fleet.waves[fleet.hosts[host.hostname]?.channel ?? ''] ?? [];
}

function waveIn(waves: Waves, hostname: string): number {
  return waves.findIndex(({ hosts }) => hosts.includes(hostname));
}

function isGatedByMissingRecord({ line, host, held }: Case): boolean {
  const { channel } = held.rollout.row;
  return line.fleet.edges.some(
    ({ gated, gates }) =>
      gated === host.hostname &&
      line.fleet.hosts[gates]?.channel === channel &&
      !held.rollout.records.has(gates),
  );
}
