/**
 * Ways to break what surrounds the core on purpose, here in the model and never in the product: a checker
 * that does not notice them is worth nothing. Those of the core itself are in `mutants.ts`.
 */
export const BREAKS = {
  'skip-fence': 'a deposed leader commits as if it still led',
  'reply-before-commit': 'an event is answered with 2xx before it is stored',
  'delete-later': 'inputs leave the queue after the commit that applied them, in another one',
  'tables-apart': 'now and then a commit holds the log rows without the rows that follow from them',
  'command-lost': 'every second command of an operator leaves the queue and nobody decided it',
  'commit-void': 'a batch is committed that was reduced onto one which the database refused',
} as const;

export type BreakName = keyof typeof BREAKS;

export function isBreak(name: string): name is BreakName {
  return Object.hasOwn(BREAKS, name);
}
