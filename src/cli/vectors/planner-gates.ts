/**
 * The planner's gates from a recorded situation's rows alone, budgets left out, with every deliberate difference a
 * switch: with none on they are the original's, with all on they must be this core's, which is compared as well.
 */
import {
  channelToday,
  isBusyElsewhere,
  recordOf,
  rolloutOf,
  waveIn,
  wavesOf,
  type Host,
  type Rollout,
} from './planner-facts.ts';
import { waveOf } from './planner-state.ts';
import type { Named } from './rule.ts';
import type { PlannerLine } from './shapes.ts';

const TERMINAL = 'terminal-serves-returning-hosts';
const BUSY = 'host-busy-is-a-gate';
const MISSING = 'host-missing-from-fleet-is-held';
const WAVES = 'waves-are-the-rollouts-own';
const COMPLIANCE = 'compliance-counts-soaking-and-converged-hosts';
const EDGES = 'host-edges-are-the-rollouts-own';

export const GATE_RULES: readonly Named[] = [
  {
    name: TERMINAL,
    why: "rollouts, settled hosts: a returning host is dispatched 'even in a Terminal rollout'",
  },
  { name: BUSY, why: 'list of differences: gate host-busy is new' },
  { name: MISSING, why: "gates, wave-promotion-host-unstaged: 'the host is in none: deny'" },
  {
    // The original looks a host's wave up in the channel that the fleet has it in today.
    name: WAVES,
    why: "rollouts: the 'host set with waves and targets' is pinned when it opens",
  },
  {
    name: COMPLIANCE,
    why: "gates, compliance-wave: failures 'on Soaking or Converged hosts of earlier waves'",
  },
  {
    // The original goes by today's channels, and waits for a host of the same channel that has no record.
    name: EDGES,
    why: "gates, host-edge: 'a gating host of the same rollout', which a host without a record there is not",
  },
];

/** A gate that holds, in the original's words: it names one, the first of those that hold. */
export interface Held {
  readonly gate: string;
  readonly reason: string;
}

/** In the original's order; gates that it has not come after its own. */
export const ORDER = [
  'quarantine',
  'channel-edges',
  'wave-promotion-host-unstaged',
  'wave-promotion',
  'host-edge',
  'disruption-budget',
  'compliance-wave',
  'host-busy',
];

type Gate = (line: PlannerLine, host: Host, on: ReadonlySet<string>) => Held | undefined;

/** `silent` for a host that is not spoken of, else the gate that holds it; undefined: it may ask for a slot. */
export function gateOf(
  line: PlannerLine,
  host: Host,
  on: ReadonlySet<string>,
): Held | 'silent' | undefined {
  if (rolloutOf(line, host).terminalAt != null && !on.has(TERMINAL)) return 'silent';
  const held = GATES.flatMap((gate) => gate(line, host, on) ?? []);
  return held.sort((a, b) => ORDER.indexOf(a.gate) - ORDER.indexOf(b.gate))[0];
}

const quarantine: Gate = (line, host) => {
  const { channel } = rolloutOf(line, host);
  if (line.quarantines[channel]?.includes(host.targetClosure) !== true) return undefined;
  const what = `channel ${channel} closure ${host.targetClosure} quarantined`;
  const reason = `${what} (sustained probe failures); push a new closure to clear`;
  return { gate: 'quarantine', reason };
};

const channelEdges: Gate = (line, host) => {
  const { channel } = rolloutOf(line, host);
  const edge = line.fleet.channelEdges.find(
    ({ gated, gates }) => gated === channel && isUnfinished(line, gates),
  );
  if (edge === undefined) return undefined;
  const reason = `channelEdges predecessor channel '${edge.gates}' not converged`;
  return { gate: 'channel-edges', reason };
};

function isUnfinished({ manifests, rollouts }: PlannerLine, channel: string): boolean {
  const manifest = manifests[channel];
  const id = `${channel}@${manifest?.channelRef ?? ''}`;
  const rollout = rollouts.find(({ rolloutId }) => rolloutId === id);
  return manifest !== undefined && rollout?.terminalAt == null;
}

const unstaged: Gate = (line, host, on) => {
  const channel = wavesChannel(line, host, on);
  const waves = wavesOf(line, channel);
  const isStaged = waves.length === 0 || waveIn(waves, host.hostname) >= 0;
  const isThere = channelToday(line, host.hostname) !== undefined;
  if (isThere ? isStaged : !on.has(MISSING)) return undefined;
  const what = `wave-promotion: channel '${channel ?? ''}' declares waves but this host is not assigned to any of them`;
  const reason = `${what} — fix the fleet declaration or the host's tag/wave selector`;
  return { gate: 'wave-promotion-host-unstaged', reason };
};

const wavePromotion: Gate = (line, host, on) => {
  const { currentWave } = rolloutOf(line, host);
  const wave = waveSeen(line, host, host.hostname, on);
  if (wave <= currentWave || isPassed(line, host, on)) return undefined;
  const reason = `wave-promotion: host_wave=${String(wave)} > current_wave=${String(currentWave)}`;
  return { gate: 'wave-promotion', reason };
};

const hostEdge: Gate = (line, host, on) => {
  const edge = line.fleet.edges.find(
    ({ gated, gates }) => gated === host.hostname && isWaitedFor(line, host, gates, on),
  );
  if (edge === undefined || isPassed(line, host, on)) return undefined;
  return { gate: 'host-edge', reason: `host-edge: gating host '${edge.gates}' not yet Converged` };
};

function isWaitedFor(
  line: PlannerLine,
  { rolloutId, hostname }: Host,
  gating: string,
  on: ReadonlySet<string>,
): boolean {
  const state = recordOf(line, rolloutId, gating)?.state;
  const theirs = channelToday(line, gating);
  const isOfOne = on.has(EDGES)
    ? state !== undefined
    : theirs !== undefined && theirs === channelToday(line, hostname);
  return isOfOne && state !== 'Converged' && state !== 'Deferred';
}

const complianceWave: Gate = (line, host, on) => {
  const wave = waveSeen(line, host, host.hostname, on);
  const failing = Object.entries(line.outstandingEnforceFailures[host.rolloutId] ?? {});
  const earlier = failing.filter(([name]) => {
    const state = recordOf(line, host.rolloutId, name)?.state;
    if (on.has(COMPLIANCE) && state !== 'Soaking' && state !== 'Converged') return false;
    const other = waveSeen(line, host, name, on);
    return other >= 0 && other < wave;
  });
  const outstanding = earlier.reduce((sum, [, n]) => sum + n, 0);
  if (outstanding === 0 || isPassed(line, host, on)) return undefined;
  const what = `compliance-wave: ${String(outstanding)} outstanding failure(s)`;
  return { gate: 'compliance-wave', reason: `${what} on hosts in wave < ${String(wave)}` };
};

const hostBusy: Gate = (line, host, on) =>
  on.has(BUSY) && isBusyElsewhere(line, host) ? { gate: 'host-busy', reason: '' } : undefined;

const GATES: readonly Gate[] = [
  quarantine,
  channelEdges,
  unstaged,
  wavePromotion,
  hostEdge,
  complianceWave,
  hostBusy,
];

/** The original lets a host that the fleet has not pass its wave, edge and compliance gates. */
function isPassed(line: PlannerLine, { hostname }: Host, on: ReadonlySet<string>): boolean {
  return channelToday(line, hostname) === undefined && !on.has(MISSING);
}

function wavesChannel(line: PlannerLine, host: Host, on: ReadonlySet<string>): string | undefined {
  return on.has(WAVES) ? rolloutOf(line, host).channel : channelToday(line, host.hostname);
}

/** The wave of a host, as `host`'s gates see it. */
function waveSeen(line: PlannerLine, host: Host, name: string, on: ReadonlySet<string>): number {
  const { rolloutId, channel }: Rollout = rolloutOf(line, host);
  if (on.has(WAVES)) return waveOf(line, rolloutId, channel, name);
  return waveIn(wavesOf(line, channelToday(line, host.hostname)), name);
}
