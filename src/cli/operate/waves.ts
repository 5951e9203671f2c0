/** A rollout's waves as people see them, in as much room as there is. */
import type { Lifecycle } from '../../wire/operator.ts';
import { clip, widthOf } from '../text-width.ts';
import { bar, counts, marks, type Paint } from './show.ts';

interface Room {
  readonly paint: Paint;
  /** Null: no terminal, and any width. */
  readonly columns: number | null;
}

type Wave = Lifecycle['waves'][number];

/** A line for each wave: the cursor, a bar, numbers. */
export function waveLines(room: Room, life: Lifecycle): string[] {
  const { waves, currentWave } = life;
  const widths = {
    wave: Math.max(0, ...waves.map(({ wave }) => String(wave).length)),
    done: room.columns === null ? 9 : Math.max(0, ...waves.map((wave) => doneOf(wave).length)),
  };
  return waves.map((wave) => waveLine(room, wave, wave.wave === currentWave, widths));
}

function doneOf({ states, hosts }: Wave): string {
  return `${String(states['Converged'] ?? 0)}/${String(hosts)}`;
}

/** The bar is as wide as leaves room for a few states beside it. */
function barWidth(columns: number | null): number {
  if (columns === null || columns >= 100) return 24;
  return columns >= 60 ? 12 : 8;
}

/** What is least worth its room goes first: the soak, then names of states for their marks in the bar. */
function waveLine(
  { paint, columns }: Room,
  wave: Wave,
  isCurrent: boolean,
  widths: { readonly wave: number; readonly done: number },
): string {
  const { hosts: total, states, soakMinutes } = wave;
  const head = `${isCurrent ? '▶' : ' '} wave ${String(wave.wave).padEnd(widths.wave)}`;
  const drawn = bar(states, total, barWidth(columns), paint);
  const done = doneOf(wave).padStart(widths.done);
  const soak = paint('dim', `soak ${String(Math.round(soakMinutes * 100) / 100)}m`);
  const ways = [
    [head, drawn, done, soak, counts(states)],
    [head, drawn, done, counts(states)],
    [head, drawn, done, marks(states)],
  ].map((parts) => parts.join('  '));
  if (columns === null) return ways[0] ?? '';
  return ways.find((line) => widthOf(line) <= columns) ?? clip(ways.at(-1) ?? '', columns);
}

/** Those of many waves that fit into `rows`: the current one and what is near it; the others in a line each way. */
export function wavesWithin(room: Room, life: Lifecycle, rows: number): string[] {
  const { waves, currentWave } = life;
  if (waves.length <= rows) return waveLines(room, life);
  const current = Math.max(
    0,
    waves.findIndex(({ wave }) => wave === currentWave),
  );
  const near = Math.max(1, rows - 2);
  const from = Math.min(Math.max(0, current - Math.floor(near / 3)), waves.length - near);
  const shown = { ...life, waves: waves.slice(from, from + near) };
  const lines = [
    ...othersLine(room, waves.slice(0, from)),
    ...waveLines(room, shown),
    ...othersLine(room, waves.slice(from + near)),
  ];
  // Where there is room for one line, it is the current wave's.
  return lines.length <= rows
    ? lines
    : waveLines(room, { ...life, waves: waves.slice(current, current + 1) });
}

function othersLine({ paint, columns }: Room, waves: readonly Wave[]): string[] {
  const [first, last] = [waves[0], waves.at(-1)];
  if (first === undefined || last === undefined) return [];
  const sum = (of: (wave: Wave) => number): string =>
    String(waves.reduce((all, wave) => all + of(wave), 0));
  const which =
    first === last
      ? `wave ${String(first.wave)}`
      : `waves ${String(first.wave)}–${String(last.wave)}`;
  const text = `  ${which}: ${sum(({ states }) => states['Converged'] ?? 0)}/${sum(({ hosts }) => hosts)} converged`;
  return [paint('dim', clip(text, columns ?? Infinity))];
}
