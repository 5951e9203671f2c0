/** A failure as somebody wants to read it: with as few kinds of fault as still show it, and its last steps. */
import type { BreakName } from './breaks.ts';
import { FAULT_KINDS, type FaultKind } from './faults.ts';
import { simulate, type Outcome } from './simulation.ts';

const LINES = 60;

/** The same seed spared one kind of fault after the other, as long as the same rule is broken. */
export async function shrink(failed: Outcome, breaks: ReadonlySet<BreakName>): Promise<Outcome> {
  const rule = ruleOf(failed);
  const without = new Set<FaultKind>(FAULT_KINDS.filter((kind) => !failed.kinds.has(kind)));
  let least = failed;
  for (const kind of failed.kinds) {
    const spared = new Set([...without, kind]);
    const again = await simulate(failed.seed, { breaks, without: spared });
    if (ruleOf(again) !== rule) continue;
    without.add(kind);
    least = again;
  }
  return least;
}

/** Only what is wrong. */
export function brief(failed: Outcome): string {
  return [
    `seed ${String(failed.seed)} fails at step ${String(failed.steps)}:`,
    ...failed.violations.map((violation) => `  ${violation}`),
    '',
  ].join('\n');
}

export async function report(failed: Outcome, breaks: ReadonlySet<BreakName>): Promise<string> {
  const least = await shrink(failed, breaks);
  const told = least.violations.join('\n');
  const words = [...new Set(told.match(/[a-z]+-\d+|[a-z]+@[0-9a-f]+/g) ?? [])];
  return [
    brief(failed).trimEnd(),
    `with only ${[...least.kinds].join(', ') || 'no fault at all'}, at step ${String(least.steps)}:`,
    ...least.violations.map((violation) => `  ${violation}`),
    `its last lines${words.length > 0 ? ` about ${words.join(', ')}` : ''}:`,
    ...least.trace.tail(LINES, [...words, 'fault', 'leads', 'crash']),
    '',
  ].join('\n');
}

/** What stands before the colon. */
function ruleOf({ violations }: Outcome): string | undefined {
  return violations[0]?.split(':')[0];
}
