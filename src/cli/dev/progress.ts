/**
 * Where the rollouts of this run stand, read from the derived tables with a handful of aggregates: the same
 * rows that any operator may query, and readable also while a replica is being killed.
 */
import type { Sql } from 'postgres';

export interface WaveProgress {
  readonly hosts: number;
  /** How many hosts are in each state. */
  readonly states: Readonly<Record<string, number>>;
}

export interface Waiting {
  /** Gate keys, such as `disruption-budget:web`. */
  readonly gates: readonly string[];
  readonly hosts: number;
  /** One of them. */
  readonly example: string;
}

export interface RolloutProgress {
  readonly rolloutId: string;
  readonly state: string;
  readonly currentWave: number;
  readonly waves: readonly WaveProgress[];
  readonly waiting: readonly Waiting[];
  readonly blockers: readonly string[];
}

export interface Progress {
  readonly rollouts: readonly RolloutProgress[];
  readonly leader: string | null;
  readonly epoch: number | null;
  readonly logRows: number;
}

interface RolloutRow {
  readonly rollout_id: string;
  readonly state: string;
  readonly current_wave: number;
  readonly blockers: readonly string[];
  /** The tags that each budget selects, in the plan's order. */
  readonly budgets: readonly string[];
}

interface WaveRow {
  readonly rollout_id: string;
  readonly wave: number;
  readonly state: string;
  readonly hosts: number;
}

interface WaitingRow {
  readonly rollout_id: string;
  readonly gates: string;
  readonly hosts: number;
  readonly example: string;
}

/** `ids` in the order in which they are to be shown; those not yet opened are left out. */
export async function readProgress(
  sql: Sql,
  schema: string,
  ids: readonly string[],
): Promise<Progress> {
  const table = (name: string) => sql(`${schema}.${name}`);
  const rollouts = await sql<RolloutRow[]>`
    SELECT rollout_id, state, current_wave, blockers,
      ARRAY(SELECT array_to_string(ARRAY(SELECT json_array_elements_text(b->'selector'->'tags')), '+')
            FROM json_array_elements(plan->'budgets') AS b) AS budgets
    FROM ${table('rollout')} WHERE rollout_id = ANY(${[...ids]})`;
  const waves = await sql<WaveRow[]>`
    SELECT rollout_id, wave, state, count(*)::int AS hosts
    FROM ${table('host_rollout')} WHERE rollout_id = ANY(${[...ids]}) GROUP BY 1, 2, 3`;
  const waiting = await sql<WaitingRow[]>`
    SELECT rollout_id, gates::text AS gates, count(*)::int AS hosts, min(hostname) AS example
    FROM ${table('host_blocker')} WHERE rollout_id = ANY(${[...ids]}) GROUP BY 1, 2 ORDER BY 3 DESC`;
  const leader = await sql<{ holder: string; epoch: number }[]>`
    SELECT holder, epoch::int AS epoch FROM ${table('epoch')}`;
  const head = await sql<{ rows: number }[]>`
    SELECT coalesce(max(seq), 0)::float8 AS rows FROM ${table('event_log')}`;
  return {
    rollouts: ids.flatMap((id) => {
      const row = rollouts.find((found) => found.rollout_id === id);
      return row === undefined ? [] : [progressOf(row, waves, waiting)];
    }),
    leader: leader[0]?.holder ?? null,
    epoch: leader[0]?.epoch ?? null,
    logRows: head[0]?.rows ?? 0,
  };
}

function progressOf(
  row: RolloutRow,
  waves: readonly WaveRow[],
  waiting: readonly WaitingRow[],
): RolloutProgress {
  const mine = waves.filter((wave) => wave.rollout_id === row.rollout_id);
  const count = Math.max(-1, ...mine.map((wave) => wave.wave)) + 1;
  return {
    rolloutId: row.rollout_id,
    state: row.state,
    currentWave: row.current_wave,
    blockers: row.blockers,
    waves: Array.from({ length: count }, (_, index) => {
      const states = mine.filter((wave) => wave.wave === index);
      return {
        hosts: states.reduce((sum, { hosts }) => sum + hosts, 0),
        states: Object.fromEntries(states.map(({ state, hosts }) => [state, hosts])),
      };
    }),
    waiting: waiting
      .filter((found) => found.rollout_id === row.rollout_id)
      .map(({ gates, hosts, example }) => ({
        gates: gateKeys(gates).map((gate) => named(gate, row.budgets)),
        ...{ hosts, example },
      })),
  };
}

function gateKeys(text: string): string[] {
  const parsed: unknown = JSON.parse(text);
  return Array.isArray(parsed) ? parsed.map(String) : [];
}

/** A budget is known to its rollout by a number; people know it by what it selects. */
function named(gate: string, budgets: readonly string[]): string {
  const index = /^disruption-budget:(\d+)$/.exec(gate)?.[1];
  return index === undefined ? gate : `disruption-budget:${budgets[Number(index)] ?? index}`;
}

/** Hosts of a rollout by state. */
export function hostStates(rollout: RolloutProgress): Record<string, number> {
  const total: Record<string, number> = {};
  for (const wave of rollout.waves) {
    for (const [state, hosts] of Object.entries(wave.states)) {
      total[state] = (total[state] ?? 0) + hosts;
    }
  }
  return total;
}

export type Standing = 'moving' | 'terminal' | 'failed';

/** `failed`: some rollout ended in a way that no waiting will change. */
export function standing(progress: Progress, expected: number): Standing {
  const { rollouts } = progress;
  const lost = ['Failed', 'Reverted', 'Superseded', 'Cancelled', 'Pruned'];
  if (rollouts.some((rollout) => lost.includes(rollout.state))) return 'failed';
  const done = rollouts.filter((rollout) => rollout.state === 'Terminal').length;
  return done === expected ? 'terminal' : 'moving';
}
