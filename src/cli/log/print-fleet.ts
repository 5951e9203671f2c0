/** A fleet as it was, for people: rollouts, then hosts, one line each. */
import type { StateRows } from '../../reducer/state/state.ts';
import { painter, table } from '../operate/show.ts';

/** As wide as it is, and plain: it may go into a file. */
const PAPER = { paint: painter(false), columns: null };

export function printFleet(state: StateRows): string {
  const { headSeq, lastTs, fleet } = state;
  const when = headSeq === 0 ? 'before the first row' : new Date(lastTs).toISOString();
  const head = `after row ${headSeq}, ${when}; fleet ${fleet.ref ?? 'undeclared'}`;
  return `${head}\n\n${rolloutTable(state)}\n${hostTable(state)}`;
}

function rolloutTable({ rollouts, records }: StateRows): string {
  const states = new Map<string, Record<string, number>>();
  for (const { rolloutId, state } of records) {
    const of = states.get(rolloutId) ?? {};
    states.set(rolloutId, of);
    of[state] = (of[state] ?? 0) + 1;
  }
  const shown = (of: Readonly<Record<string, number>>): string =>
    Object.entries(of)
      .map(([state, n]) => `${n} ${state}`)
      .join(', ');
  const rows = rollouts
    .filter(({ state }) => state !== 'Pruned')
    .map(({ rolloutId, state, currentWave }) => [
      ...[rolloutId, state, String(currentWave)],
      shown(states.get(rolloutId) ?? {}),
    ]);
  return table(['ROLLOUT', 'STATE', 'WAVE', 'HOSTS'], rows, PAPER);
}

function hostTable({ hosts }: StateRows): string {
  const rows = hosts.map(({ hostname, reachability, reportedClosure, hold }) => [
    ...[hostname, reachability, reportedClosure ?? '-'],
    hold === null ? '' : `${hold.actor}: ${hold.reason}`,
  ]);
  return table(['HOST', 'HEARD', 'RUNS', 'HOLD'], rows, PAPER);
}
