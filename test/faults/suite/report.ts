/** The table for people, and the one line for machines. */
import type { Row } from './fault.ts';

const HEAD = ['fault', 'ops', 'ok', 'failed', 'unknown', 'lost', 'dup', 'gaps', 'outage ms'];
const COLUMNS = [...HEAD, 'no CPU ms', 'limit ms', 'verdict'];
const WIDTHS = [34, 7, 7, 7, 8, 6, 5, 6, 10, 10, 9, 9];

export function headLine(): string {
  return line(COLUMNS);
}

export function rowLine(row: Row): string {
  const { ops, ok, failed, unknown, lost, duplicated, gaps, outageMs, starvedMs, limitMs } = row;
  const counts = [ops, ok, failed, unknown, lost, duplicated, gaps];
  const numbers = [...counts, outageMs, starvedMs].map(String);
  const text = line([row.fault, ...numbers, limitMs === null ? '-' : String(limitMs), row.verdict]);
  const more = [...row.why.map((reason) => `${row.verdict}: ${reason}`), ...row.notes];
  return [text, ...more.map((one) => `    ${one}`)].join('\n');
}

function line(cells: readonly string[]): string {
  return cells
    .map((cell, i) => (i === 0 ? cell.padEnd(WIDTHS[0] ?? 0) : cell.padStart(WIDTHS[i] ?? 0)))
    .join(' ');
}

export function summary(rows: readonly Row[]): string {
  const of = (verdict: Row['verdict']): string[] =>
    rows.filter((row) => row.verdict === verdict).map(({ fault }) => fault);
  const skipped = of('skipped');
  const named = skipped.length === 0 ? '' : ` (${skipped.join(', ')})`;
  const late = of('late').map((fault) => `; ${fault} was late at first`);
  return `${of('passed').length} passed, ${of('failed').length} failed, ${skipped.length} skipped${named}${late.join('')}`;
}
