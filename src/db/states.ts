/** States as statements ask for them: a rollout's, and a host's in it as operators count and list it. */
import type { Sql } from './driver.ts';

/**
 * Of the `host_rollout` row called `of`: closed records apart, since nobody waits for them. The state stands in the
 * text: a plan for any state would be the one for a frequent state.
 */
export function isListedAs(sql: Sql, of: 'm' | 'r', state: string) {
  const row = sql.unsafe(of);
  if (state === 'closed') return sql`${row}.closed IS NOT NULL`;
  return sql`${row}.state = ${word(sql, state)} AND ${row}.closed IS NULL`;
}

/** Of the `rollout` row called `of`: hosts may still move in it. */
export function isUnderWay(sql: Sql, of: 'o' | 'r' | 'u') {
  return sql`${sql.unsafe(of)}.state IN ('Opening', 'Active', 'Converging')`;
}

/** One word that a statement may hold as it is. */
export function word(sql: Sql, of: string) {
  if (!/^[A-Za-z]+$/.test(of)) throw new Error('a state is one word');
  return sql.unsafe(`'${of}'`);
}
