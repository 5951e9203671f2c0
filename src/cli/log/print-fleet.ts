/** A fleet as it was, for people: rollouts, then hosts, one line each. */
import type { StateRows } from '../../reducer/state/state.ts';

export function printFleet({
  headSeq,
  lastTs,
  fleet,
  rollouts,
  records,
  hosts,
}: StateRows): string {
  const when = headSeq === 0 ? 'before the first row' : new Date(lastTs).toISOString();
  const lines = [`after row ${headSeq}, ${when}; fleet ${fleet.ref ?? 'undeclared'}`];
  const live = rollouts.filter(({ state }) => state !== 'Pruned');
  lines.push(
    '',
    ...table(
      ['ROLLOUT', 'STATE', 'WAVE', 'HOSTS'],
      live.map((rollout) => {
        const of = records.filter(({ rolloutId }) => rolloutId === rollout.rolloutId);
        const counts = new Map<string, number>();
        for (const { state } of of) counts.set(state, (counts.get(state) ?? 0) + 1);
        const shown = [...counts].map(([state, count]) => `${count} ${state}`).join(', ');
        return [rollout.rolloutId, rollout.state, String(rollout.currentWave), shown];
      }),
    ),
  );
  lines.push(
    '',
    ...table(
      ['HOST', 'HEARD', 'RUNS', 'HOLD'],
      hosts.map((host) => [
        host.hostname,
        host.reachability,
        host.reportedClosure ?? '-',
        host.hold === null ? '' : `${host.hold.actor}: ${host.hold.reason}`,
      ]),
    ),
  );
  return `${lines.join('\n')}\n`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [head, ...rows];
  const widths = head.map((_, i) => Math.max(...all.map((row) => (row[i] ?? '').length)));
  return all.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
