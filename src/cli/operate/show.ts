/** Texts for people: tables that fit, colours on terminals only, ages, bars. */
import { clip, padTo, widthOf } from '../text-width.ts';

export type Tone = 'good' | 'warn' | 'bad' | 'dim' | 'bold' | 'plain';

const CODES: Readonly<Record<Tone, string>> = {
  ...{ good: '\u001b[32m', warn: '\u001b[33m', bad: '\u001b[31m' },
  ...{ dim: '\u001b[2m', bold: '\u001b[1m', plain: '' },
};
const RESET = '\u001b[0m';

export type Paint = (tone: Tone, text: string) => string;

export function painter(colour: boolean): Paint {
  return (tone, text) => (colour && tone !== 'plain' ? `${CODES[tone]}${text}${RESET}` : text);
}

/** How a state is shown, of a host or a rollout. */
export function toneOf(state: string): Tone {
  switch (state) {
    case 'Converged':
    case 'Terminal':
    case 'reachable':
      return 'good';
    case 'Failed':
    case 'Reverted':
      return 'bad';
    case 'Deferred':
    case 'unreachable':
    case 'paused':
      return 'warn';
    case 'Superseded':
    case 'Cancelled':
    case 'closed':
    case 'never':
      return 'dim';
    default:
      return 'plain';
  }
}

export interface Cell {
  readonly text: string;
  readonly tone?: Tone;
  /** Instead, in the last column, where `text` has no room: what names the same, and is never cut. */
  readonly short?: string;
}

/** As much of a ref as people and git use. */
const REF_DIGITS = 12;

export function shortRef(ref: string): string {
  return ref.slice(0, REF_DIGITS);
}

/** Of a rollout; commands take it, too. */
export function shortId(id: string): string {
  const [channel = '', ref = ''] = id.split('@');
  return `${channel}@${shortRef(ref)}`;
}

export function idCell(id: string | undefined): Cell {
  return id === undefined ? { text: '-' } : { text: id, short: shortId(id) };
}

export type Row = readonly (string | Cell)[];

interface Room {
  readonly paint: Paint;
  readonly columns: number | null;
}

export function table(heads: readonly string[], rows: readonly Row[], room: Room): string {
  return tableWriter(heads, room)(rows);
}

/**
 * A table that grows page by page: the heads come with the first rows. Columns are as wide as their widest cell so
 * far; the last one is shortened or cut to the width of the terminal.
 */
export function tableWriter(
  heads: readonly string[],
  { paint, columns }: Room,
): (rows: readonly Row[]) => string {
  const widths = heads.map(widthOf);
  let head: readonly Cell[] | null = heads.map((text) => ({ text, tone: 'dim' }));
  const line = (row: readonly Cell[], last: string): string => {
    const shown = row.map(({ text, tone = 'plain' }, i) =>
      paint(tone, i === widths.length - 1 ? last : padTo(text, widths[i] ?? 0)),
    );
    return `${shown.join('  ').trimEnd()}\n`;
  };
  return (rows) => {
    const cells = rows.map((row) =>
      row.map((one): Cell => (typeof one === 'string' ? { text: one } : one)),
    );
    for (const row of cells) {
      row.forEach(({ text }, i) => (widths[i] = Math.max(widths[i] ?? 0, widthOf(text))));
    }
    const before = widths.slice(0, -1).reduce((sum, width) => sum + width + 2, 0);
    const room = columns === null ? Infinity : Math.max(8, columns - before);
    const shown = [...(head === null ? [] : [head]), ...cells];
    const last = within(
      shown.map((row) => row.at(-1) ?? { text: '' }),
      room,
    );
    head = null;
    return shown.map((row, i) => line(row, last[i] ?? '')).join('');
  };
}

/** Where one has no room, all are short: a short one between long ones looks like something else. */
function within(cells: readonly Cell[], room: number): string[] {
  const isWide = cells.some(({ text }) => widthOf(text) > room);
  return cells.map(({ text, short }) => (isWide && short !== undefined ? short : clip(text, room)));
}

/** `1 host`, `2 hosts`. */
export function some(n: number, what: string): string {
  return `${String(n)} ${what}${n === 1 ? '' : 's'}`;
}

/** The last line of a list that was cut; nothing below a whole one. */
export function unnamed(total: number, named: number): string {
  return total > named ? `    … and ${String(total - named)} more, ${String(total)} in all\n` : '';
}

/** `3m`, `2h`, `5d`. */
export function age(at: string | undefined, now: number): string {
  if (at === undefined) return '-';
  return span((now - Date.parse(at)) / 1_000);
}

/** The largest unit that it has one of. */
export function span(seconds: number): string {
  const secs = Math.max(0, Math.round(seconds));
  if (secs < 60) return `${String(secs)}s`;
  if (secs < 3_600) return `${String(Math.floor(secs / 60))}m`;
  if (secs < 86_400) return `${String(Math.floor(secs / 3_600))}h`;
  return `${String(Math.floor(secs / 86_400))}d`;
}

/** `Pending 3, Soaking 1`, in the order given. */
export function counts(of: Readonly<Record<string, number>>): string {
  const shown = Object.entries(of).filter(([, n]) => n > 0);
  return shown.length === 0 ? 'none' : shown.map(([name, n]) => `${name} ${String(n)}`).join(', ');
}

/** In the order of a host's life. */
const BAR: readonly (readonly [state: string, mark: string])[] = [
  ['Converged', '█'],
  ['Soaking', '▓'],
  ['Activating', '▒'],
  ['Deferred', '░'],
  ['Failed', '!'],
  ['Reverted', '!'],
  ['closed', 'x'],
];

/** A wave as a bar of `width`: every state that anybody is in is seen, however few they are. */
export function bar(
  states: Readonly<Record<string, number>>,
  hosts: number,
  width: number,
  paint: Paint,
): string {
  let left = width;
  const parts = BAR.map(([state, mark]) => {
    const n = states[state] ?? 0;
    const share = n === 0 || hosts === 0 ? 0 : Math.max(1, Math.floor((n / hosts) * width));
    const cells = Math.min(left, share);
    left -= cells;
    return paint(toneOf(state), mark.repeat(cells));
  });
  return `${parts.join('')}${paint('dim', '·'.repeat(left))}`;
}

/** `▓ 1  · 2`: as in the bar, where there is no room for names. */
export function marks(of: Readonly<Record<string, number>>): string {
  const sums = new Map<string, number>();
  for (const [state, mark] of [...BAR, ['Pending', '·'] as const]) {
    sums.set(mark, (sums.get(mark) ?? 0) + (of[state] ?? 0));
  }
  const shown = [...sums].filter(([, n]) => n > 0);
  return shown.length === 0 ? 'none' : shown.map(([mark, n]) => `${mark} ${String(n)}`).join('  ');
}

const LEGEND = [
  '█ converged',
  '▓ soaking',
  '▒ activating',
  '░ deferred',
  '! failed',
  'x closed',
  '· pending',
];

/** What the bar's marks mean, in lines of this width. */
export function legend(columns: number): string[] {
  const lines: string[] = [];
  for (const item of LEGEND) {
    const last = lines.at(-1);
    const longer = last === undefined ? item : `${last}  ${item}`;
    if (last === undefined || widthOf(longer) > columns) lines.push(item);
    else lines.splice(-1, 1, longer);
  }
  return lines;
}
