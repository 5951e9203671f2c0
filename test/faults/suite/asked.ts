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
  const all = FAULTS.filter((fault) => !values.short || fault.short === true);
  return {
    ...{ json: values.json, list: values.list, help: values.help },
    faults: only.length > 0 ? named('fault', FAULTS, only) : all,
    weakenings: weak.includes('all') ? WEAKENINGS : named('weakening', WEAKENINGS, weak),
  };
}
