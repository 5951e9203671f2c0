/**
 * Since when each gate holds a host. A set of gates changes whenever one joins or leaves, and the ones that
 * stay have held all along: a blocker row keeps their time beside its own. The log says only that they stay
 * (`keep`), so that one row still speaks for many hosts that were held since different times.
 */
import type { BlockerRow } from './rows.ts';
import type { Time } from '../time.ts';

type Earlier = BlockerRow['earlier'];

/** Since when this gate of the row holds. */
export function sinceOf({ earlier, since }: BlockerRow, gate: string): Time {
  return earlier?.[gate] ?? since;
}

/** Whether a row with these gates must be told from one whose gates all begin now. */
export function isKeeping(before: BlockerRow | undefined, gates: readonly string[]): boolean {
  if (before === undefined || gates.length === 0) return false;
  return before.earlier !== null || gates.some((gate) => before.gates.includes(gate));
}

/** The times of those gates that held before, for one host after the other: neighbours share the answer. */
export function earlierTimes(gates: readonly string[]): (before: BlockerRow) => Earlier {
  let last: BlockerRow | null = null;
  let answer: Earlier = null;
  return (before) => {
    if (last === null || !isAlike(last, before)) {
      answer = timesOf(before, gates);
      last = before;
    }
    return answer;
  };
}

function isAlike(a: BlockerRow, b: BlockerRow): boolean {
  return a.gates === b.gates && a.since === b.since && a.earlier === b.earlier;
}

function timesOf(before: BlockerRow, gates: readonly string[]): Earlier {
  const stayed = gates.filter((gate) => before.gates.includes(gate));
  if (stayed.length === 0) return null;
  return Object.fromEntries(stayed.map((gate) => [gate, sinceOf(before, gate)]));
}
