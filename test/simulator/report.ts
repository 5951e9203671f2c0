/** A failure as somebody wants to read it: with as few kinds of fault as still show it, and its last steps. */
import type { BreakName } from './breaks.ts';
import { FAULT_KINDS, type FaultKind } from './faults.ts';
import { simulate, type Outcome } from './simulation.ts';

const LINES = 60;

/**
 * The same seed spared one kind of fault after the other, as long as the same rule is broken, and no later than before:
 * over and over, because what one kind was needed for may be gone with another.
 */
export async function shrink(failed: Outcome, breaks: ReadonlySet<BreakName>): Promise<Outcome> {
  let least = failed;
  let before: Outcome;
  do {
    before = least;
    for (const kind of before.kinds) least = (await spared(least, kind, breaks)) ?? least;
  } while (least !== before);
  return least;
}

/** Null: it does not fail like this without that kind. */
async function spared(
  failed: Outcome,
  kind: FaultKind,
  breaks: ReadonlySet<BreakName>,
): Promise<Outcome | null> {
  const without = new Set(FAULT_KINDS.filter((one) => one === kind || !failed.kinds.has(one)));
  const again = await simulate(failed.seed, { breaks, without });
  return ruleOf(again) === ruleOf(failed) && again.steps <= failed.steps ? again : null;
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
