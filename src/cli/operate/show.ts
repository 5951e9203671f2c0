/** Texts for people: tables that fit, colours on terminals only, ages, bars. */
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
}

/** Columns as wide as their widest cell; the last one is cut to the width of the terminal. */
export function table(
  heads: readonly string[],
  rows: readonly (readonly (string | Cell)[])[],
  { paint, columns }: { readonly paint: Paint; readonly columns: number | null },
): string {
  const cells = rows.map((row) =>
    row.map((one) => (typeof one === 'string' ? { text: one } : one)),
  );
  const widths = heads.map((head, i) =>
    cells.reduce((most, row) => Math.max(most, row[i]?.text.length ?? 0), head.length),
  );
  const before = widths.slice(0, -1).reduce((sum, width) => sum + width + 2, 0);
  const room = columns === null ? Infinity : Math.max(8, columns - before);
  const line = (row: readonly Cell[]): string =>
    row
      .map(({ text, tone = 'plain' }, i) => {
        const last = i === widths.length - 1;
        const shown = last ? clip(text, room) : text.padEnd(widths[i] ?? 0);
        return paint(tone, shown);
      })
      .join('  ')
      .trimEnd();
  const head = line(heads.map((text) => ({ text, tone: 'dim' as const })));
  return [head, ...cells.map(line)].map((text) => `${text}\n`).join('');
}

export function clip(text: string, room: number): string {
  return text.length <= room ? text : `${text.slice(0, Math.max(1, room - 1))}…`;
}

/** The last line of a list that was cut; nothing below a whole one. */
export function unnamed(total: number, named: number): string {
  return total > named ? `    … and ${String(total - named)} more, ${String(total)} in all\n` : '';
}

/** `3m`, `2h`, `5d`. */
export function age(at: string | undefined, now: number): string {
  if (at === undefined) return '-';
  const secs = Math.max(0, Math.round((now - Date.parse(at)) / 1_000));
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

export const BAR_LEGEND =
  '█ converged  ▓ soaking  ▒ activating  ░ deferred  ! failed  x closed  · pending';
