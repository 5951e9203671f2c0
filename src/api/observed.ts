/** What the leader would look up for an input, looked up here, without its locks: for previews. */
import { DeadlineError, within } from '../db/deadline.ts';
import { readHeard, readOffers } from '../db/offers.ts';
import type { Input, Observed } from '../reducer/input.ts';
import { previewNeeds } from '../reducer/preview.ts';
import type { ApiDeps } from './deps.ts';

/** Somebody locks presence: the leader does not wait for it either (`leader/observe.ts`). Ordinarily it takes a few ms. */
const HEARD_MS = 1_000;

/** Undefined: the leader would not look. */
export async function observedFor(
  { committed, pool }: Pick<ApiDeps, 'committed' | 'pool'>,
  input: Input,
  now: number,
): Promise<Observed | undefined> {
  const needs = await committed.read((state) => previewNeeds(state, input, now));
  if (needs === null) return undefined;
  const [offers, heard] = await Promise.all([
    pool.run((sql) => readOffers(sql, needs)),
    within(
      pool.run((sql) => readHeard(sql, needs.hosts)),
      HEARD_MS,
      () => undefined,
    ).catch(nobodyWhenLate),
  ]);
  return { offers, heard };
}

function nobodyWhenLate(error: unknown): Observed['heard'] {
  if (error instanceof DeadlineError) return [];
  throw error;
}
