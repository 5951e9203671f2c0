/**
 * Where the planner differs from the original on purpose. Each rule says, for one decision, which of this
 * core's gates the original has not (`lifts`), which it has beyond (`adds`), or why it says nothing at all
 * (`silences`). A decision is explained only if its answer, so changed, is the original's.
 */
import type { Held } from '../../reducer/planner/gates/gate.ts';
import { limitOf } from '../../reducer/planner/limit.ts';
import { budgetState } from '../../reducer/state/flight.ts';
import type { PlannerLine } from './shapes.ts';

export interface Case {
  readonly line: PlannerLine;
  readonly host: PlannerLine['hosts'][number];
  readonly held: Held;
  /** Hosts that both dispatched before this one in the same plan. */
  readonly granted: ReadonlySet<string>;
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
    lifts: ({ gates }) => when(gates.has('host-busy'), ['host-busy']),
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

/** Failures on any host of an earlier wave, whatever its state and even without a record. */
function isFailingAnywhereBefore({ line, host }: Case): boolean {
  const waves = wavesToday(line, host);
  const own = waveIn(waves, host.hostname);
  return Object.entries(line.outstandingEnforceFailures[host.rolloutId] ?? {}).some(
    ([name, failing]) => failing > 0 && waveIn(waves, name) >= 0 && waveIn(waves, name) < own,
  );
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

type Budget = Held['rollout']['row']['plan']['budgets'][number];
type Limit = (budget: Budget) => number | null;

/** Full by this core's limit, but not by the original's, which knows no percentages. */
function isHeldByPercentage(found: Case): boolean {
  return isFull(found, limitOf, () => true) && !isFull(found, absolute, () => true);
}

/** Full by everybody in flight, but not by those that the original counts. */
function isHeldByOthers(found: Case): boolean {
  const { held, granted } = found;
  return (
    isFull(found, absolute, () => true) &&
    !isFull(found, absolute, (name) => granted.has(name) || isRunning(held, name))
  );
}

function absolute({ maxInFlight }: Budget): number | null {
  return maxInFlight;
}

function isFull({ held }: Case, limit: Limit, counts: (hostname: string) => boolean): boolean {
  const { state, rollout, record } = held;
  return (rollout.hostBudgets.get(record.hostname) ?? []).some((index) => {
    const budget = rollout.row.plan.budgets[index];
    const most = budget === undefined ? null : limit(budget);
    if (most === null) return false;
    return [...budgetState(state, rollout, index).inFlight.keys()].filter(counts).length >= most;
  });
}

function isRunning({ state }: Held, hostname: string): boolean {
  return [...state.live.values()].some((rollout) => {
    const stands = rollout.records.get(hostname)?.state;
    return stands === 'Activating' || stands === 'Soaking';
  });
}
