/** What the leader would look up for an input, looked up here, without its locks: for previews. */
import { readObserved } from '../db/offers.ts';
import type { Input, Observed } from '../reducer/input.ts';
import { previewNeeds } from '../reducer/preview.ts';
import type { ApiDeps } from './deps.ts';

/** Undefined: the leader would not look. */
export async function observedFor(
  { committed, pool }: Pick<ApiDeps, 'committed' | 'pool'>,
  input: Input,
  now: number,
): Promise<Observed | undefined> {
  const needs = await committed.read((state) => previewNeeds(state, input, now));
  return needs === null ? undefined : pool.run((sql) => readObserved(sql, needs));
}
