/** A process leads whenever it gets the lock, for a term at a time; why it stopped is of interest to the trace alone. */
import { AwayError, FencedError } from './database.ts';
import type { Process } from './process.ts';
import { AmbiguousCommitError, Term } from './term.ts';

const RETRY_MS = 1_500;

export async function runLeader(process: Process): Promise<never> {
  for (;;) {
    const { db } = process.world;
    const lock = await process
      .query(() => db.tryLock('leader', process.name))
      .catch(() => {
        // Its session broke, and whatever it held is free again.
        db.breakLock('leader', process.name);
        return null;
      });
    if (lock === null) {
      await process.sleep(RETRY_MS * (0.5 + process.random()));
      continue;
    }
    const term = new Term(process, lock);
    await term.lead().catch((error: unknown) => {
      process.world.trace.say(process.name, `leads no longer: ${why(error)}`);
      if (!isExpected(error)) throw error;
    });
    term.end();
    await process.sleep(RETRY_MS * process.random());
  }
}

function why(error: unknown): string {
  return error instanceof Error ? `${error.constructor.name} ${error.message}` : String(error);
}

function isExpected(error: unknown): boolean {
  if (error instanceof AwayError || error instanceof FencedError) return true;
  if (error instanceof AmbiguousCommitError) return true;
  return error instanceof Error && /claimed inputs are gone|duplicate key/.test(error.message);
}
