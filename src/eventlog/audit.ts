/**
 * Is the log what it claims to be? Gapless, chained, and equal to the tables when folded. For tests, for
 * `muster dev --once`, and for whoever doubts.
 */
import { dump } from '../reducer/state/rows-io.ts';
import type { StateRows } from '../reducer/state/state.ts';
import { compare, replay } from './replay.ts';
import { loadState } from './state.ts';
import { walkStored, type Run } from './stored.ts';

/** Names of the row families in which two states differ; empty: they are equal, field for field. */
export function differences(a: StateRows, b: StateRows): string[] {
  return [...new Set(compare(a, b).map(({ family }) => family))];
}

export interface Audit {
  readonly rows: number;
  readonly gapless: boolean;
  /** The first seq whose hash does not follow from what is there; null when all do. */
  readonly brokenAt: number | null;
  /** Families in which the tables are not the fold. */
  readonly unequal: readonly string[];
}

/** Meant for a quiet system: it reads the log first and the tables afterwards. */
export async function audit(run: Run): Promise<Audit> {
  const pages = walkStored(run, { after: 0, through: Infinity });
  const { rows, missing, brokenAt, stopped, state } = await replay(pages, {
    from: null,
    fold: true,
  });
  if (stopped !== null) throw new Error(`row ${stopped.seq} cannot be folded: ${stopped.why}`);
  const unequal = differences(dump(state), await run(loadState));
  return { rows, gapless: missing === null, brokenAt, unequal };
}
