/** What `npm run test:faults` is asked for; a mistake is a sentence. */
import { parseOptions, UsageError } from '../../../src/cli/io.ts';
import { FAULTS } from './faults/all.ts';
import type { Fault } from './fault.ts';
import { WEAKENINGS, type Weakening } from './weaken.ts';

export interface Asked {
  readonly json: boolean;
  readonly list: boolean;
  readonly help: boolean;
  readonly faults: readonly Fault[];
  /** Of which each must be noticed; none: the product as it is. */
  readonly weakenings: readonly Weakening[];
}

export const USAGE =
  'usage: npm run test:faults -- [--list] [--only NAME,…] [--short] [--json] [--weaken NAME|all]';

export const HELP = `${USAGE}

Each fault is met by two replicas under load: agents, heartbeats, polls and operators' commands, whose every answer is kept.
  --list     every fault and weakening, and what it does
  --only     these faults alone
  --short    those that npm test has
  --weaken   the product is made weaker in a known way, and its faults must notice: exit code 1 where they do not
  --json     one line at the end for machines

ops, ok, failed, unknown   requests; answered 2xx; answered otherwise; not answered
lost, dup, gaps            answered 2xx and not in the log; in it more than once; missing numbers of the log
outage ms                  the longest time in which no agent was told a verdict: of the installation. While another replica
                           answers there is none, however many wait for one that is frozen or cut off (they are unknown)
no CPU ms                  of it, when the processes had no CPU to run on
limit ms                   that the outage may have without it; beyond it the fault is tried once more, and then failed
Exit code 1: something was lost, duplicated, missing or otherwise wrong.
`;

export function named<T extends { readonly name: string }>(
  what: string,
  all: readonly T[],
  names: readonly string[],
): readonly T[] {
  return names.map((name) => {
    const found = all.find((one) => one.name === name);
    if (found !== undefined) return found;
    const known = all.map((one) => one.name).join(', ');
    throw new UsageError(`there is no ${what} ${JSON.stringify(name)}; there are ${known}`);
  });
}

/** `--only a,b --only c`. */
function listOf(given: readonly string[] | undefined): readonly string[] {
  return (given ?? []).flatMap((text) => text.split(','));
}

export function readAsked(args: readonly string[]): Asked {
  const flag = { type: 'boolean', default: false } as const;
  const names = { type: 'string', multiple: true } as const;
  const options = { list: flag, help: flag, short: flag, json: flag, only: names, weaken: names };
  const { values } = parseOptions({ args: [...args], options });
  const only = listOf(values.only);
  const weak = listOf(values.weaken);
  // Each weakening has faults of its own that must notice it, and the short ones are some of all.
  if ([only.length > 0, weak.length > 0, values.short].filter(Boolean).length > 1)
    throw new UsageError(`--only, --short and --weaken do not go together; ${USAGE}`);
  const all = FAULTS.filter((fault) => !values.short || fault.short === true);
  return {
    ...{ json: values.json, list: values.list, help: values.help },
    faults: only.length > 0 ? named('fault', FAULTS, only) : all,
    weakenings: weak.join() === 'all' ? WEAKENINGS : named('weakening', WEAKENINGS, weak),
  };
}
