/** A transaction on a dedicated session: committed when the body resolves, undone when it does not. */
import type { Sql } from './driver.ts';
import { sqlState } from './errors.ts';
import type { Session } from './session.ts';

export async function inTransaction<T>(
  session: Session,
  body: (sql: Sql) => Promise<T>,
  deadlineMs?: number,
): Promise<T> {
  return session.run(async (sql) => {
    await sql`BEGIN`;
    let result: T;
    try {
      result = await body(sql);
    } catch (error) {
      await sql`ROLLBACK`;
      throw error;
    }
    await commit(sql);
    return result;
  }, deadlineMs);
}

type Answers<T extends readonly Promise<unknown>[]> = { -readonly [K in keyof T]: Awaited<T[K]> };

/**
 * Answers to statements that were sent in one go on one session, heard in the order of sending: what fails first is why, and
 * all after it only say that the transaction is aborted (25P02).
 */
export async function inOrder<const T extends readonly Promise<unknown>[]>(
  answers: T,
): Promise<Answers<T>> {
  // A refusal that arrives before its turn is no unhandled one.
  for (const answer of answers) answer.catch(() => undefined);
  const heard: unknown[] = [];
  for (const answer of answers) heard.push(await answer);
  return heard as Answers<T>;
}

/** COMMIT of a transaction in which a statement failed answers `ROLLBACK`, without an error. */
export async function commit(sql: Sql): Promise<void> {
  // At once: what is sent next on the session comes behind it.
  const done = await sql`COMMIT`.execute();
  if (done.command !== 'COMMIT') throw new Error('the transaction was rolled back');
}

/** Undoes what is open on the session, if it still answers. */
export async function rollback(session: Session): Promise<void> {
  if (!session.open) return;
  try {
    await session.run((sql) => sql`ROLLBACK`);
  } catch (error) {
    if (sqlState(error) === null) return; // the session is over: the server has undone it
    throw error;
  }
}
