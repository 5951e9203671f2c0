/** A rollout's waves as people see them. */
import type { Lifecycle } from '../../wire/operator.ts';
import type { Desk } from './command.ts';
import { bar, counts } from './show.ts';

/** A line for each wave: the cursor, a bar, numbers. */
export function waveLines({ paint, columns }: Desk, life: Lifecycle): string[] {
  const width = columns !== null && columns < 80 ? 12 : 24;
  return life.waves.map(({ wave, hosts: total, states, soakMinutes }) => {
    const mark = wave === life.currentWave ? '▶' : ' ';
    const done = `${String(states['Converged'] ?? 0)}/${String(total)}`;
    const soak = `soak ${String(Math.round(soakMinutes * 100) / 100)}m`;
    return `${mark} wave ${String(wave)}  ${bar(states, total, width, paint)}  ${done.padStart(9)}  ${paint('dim', soak)}  ${counts(states)}`;
  });
}
