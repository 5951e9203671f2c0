/**
 * Strict mode's look at the source, before anything starts: are the lists there that say who is let in and who no
 * longer is? Without them nobody could be revoked in a hurry. A source that does not answer is not one that lacks
 * them: the poll tells of it, and goes on with what was verified before.
 */
import type { Config } from '../config.ts';
import { isStrict } from '../config/strict.ts';
import { openSource, type Source } from '../workers/source.ts';

/** A source that is slower than this at start is one that does not answer. */
const PATIENCE_MS = 5_000;

const LISTS = {
  'revocations.json': 'nobody could be revoked',
  'bootstrap-nonces.json': 'no host could enrol',
} as const;

/** Each a sentence, to be said together with whatever else is missing. */
export async function missingLists(config: Config): Promise<readonly string[]> {
  const { source, sourceToken, roles } = config;
  if (!isStrict(config) || !roles.includes('workers') || source === null) return [];
  const from = openSource(source, sourceToken);
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const looked = Object.entries(LISTS).map(async ([name, harm]) =>
    (await isThere(from, name, signal)) ? [] : [complaint(from, name, harm)],
  );
  return (await Promise.all(looked)).flat();
}

function complaint({ where }: Source, name: string, harm: string): string {
  return `${harm}: ${where} has no ${name} with its .sig; sign one with each release, an empty list too (docs/enrolment.md)`;
}

async function isThere(from: Source, name: string, signal: AbortSignal): Promise<boolean> {
  try {
    const both = await Promise.all([from.read(name, signal), from.read(`${name}.sig`, signal)]);
    return both.every((bytes) => bytes !== undefined);
  } catch {
    return true;
  }
}
