/**
 * Where the planner differs from the original on purpose. Each rule says, for one decision, which of this
 * core's gates the original has not (`lifts`), which it has beyond (`adds`), or why it says nothing at all
 * (`silences`). A decision is explained only if its answer, so changed, is the original's.
 */
import type { Held } from '../../reducer/planner/gates/gate.ts';
import {
  absoluteLimit,
  everybodyInFlight,
  inFlightOriginally,
  isAnyBudgetFull,
  isBusyElsewhere,
  lowerLimit,
  type Grants,
} from './planner-facts.ts';
import type { PlannerLine } from './shapes.ts';

export interface Case {
  readonly line: PlannerLine;
  readonly host: PlannerLine['hosts'][number];
  readonly held: Held;
  /** Whom this core dispatched before this one in the same plan. */
  readonly grants: Grants;
  /** Of these, whom the original dispatched too. */
  readonly agreed: Grants;
  readonly gates: ReadonlySet<string>;
  /** Whether a budget would hold it, were it asked. */
  readonly budgets: boolean;
  readonly expected: {
    /** `dispatch` or a gate; several where the original varies; none where it says nothing. */
    readonly answers: readonly string[];
    readonly targetClosure: string | undefined;
    readonly soakDueAt: string | undefined;
  };
}

interface Rule {
  readonly name: string;
  readonly lifts?: (found: Case) => readonly string[] | undefined;
  readonly adds?: (found: Case) => readonly string[] | undefined;
  readonly silences?: (found: Case) => boolean;
}

export const RULES: readonly Rule[] = [
  {
    name: 'terminal-serves-returning-hosts',
    silences: ({ held }) => held.rollout.row.state === 'Terminal',
  },
  {
    name: 'host-busy-is-a-gate',
    lifts: ({ line, host }) => when(isBusyElsewhere(line, host), ['host-busy']),
  },
  {
    name: 'host-missing-from-fleet-is-held',
    lifts: ({ gates, line, host }) =>
      when(
        gates.has('wave-promotion-host-unstaged') && line.fleet.hosts[host.hostname] === undefined,
        ['wave-promotion-host-unstaged'],
      ),
  },
  {
    // The original looks a host's wave up in the channel that the fleet has it in today.
    name: 'waves-are-the-rollouts-own',
    lifts: (found) => when(isElsewhere(found), ['wave-promotion', 'wave-promotion-host-unstaged']),
    adds: (found) => when(isElsewhere(found), gatesElsewhere(found)),
  },
  {
    name: 'compliance-counts-soaking-and-converged-hosts',
    adds: (found) => when(isFailingAnywhereBefore(found), ['compliance-wave']),
  },
  {
    // Recorded situations lack records of hosts that the manifest names; here a rollout has them all.
    name: 'a-rollout-has-every-record',
    adds: (found) => when(isGatedByMissingRecord(found), ['host-edge']),
  },
  {
    name: 'percentage-budgets-count',
    lifts: (found) => when(isHeldByPercentage(found), ['disruption-budget']),
  },
  {
    name: 'granted-and-rolling-back-hosts-count',
    lifts: (found) => when(isHeldByOthers(found), ['disruption-budget']),
  },
];

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

/** Full by this core's limit, but not by the original's, which knows no percentages. */
function isHeldByPercentage({ line, host, grants }: Case): boolean {
  const all = everybodyInFlight(line, grants);
  return (
    isAnyBudgetFull(line, host, lowerLimit, all) && !isAnyBudgetFull(line, host, absoluteLimit, all)
  );
}

/** Full by everybody in flight, but not by those that the original counts. */
function isHeldByOthers({ line, host, grants, agreed }: Case): boolean {
  const all = everybodyInFlight(line, grants);
  const originals = inFlightOriginally(line, agreed);
  return (
    isAnyBudgetFull(line, host, absoluteLimit, all) &&
    !isAnyBudgetFull(line, host, absoluteLimit, originals)
  );
}
