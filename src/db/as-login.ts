/**
 * Whose rights a statement has. Where a setting makes the login another role (`ALTER ROLE … SET role`), the server asks that
 * role, while sessions stay the login's: which of the two may see or end one, it may not do as the other.
 */
import type { Sql } from './driver.ts';

/** `role`: as a session begins; it may have been granted more. `login`: whose sessions are its own. */
export type As = 'role' | 'login';

const BEFORE: Readonly<Record<As, string>> = { role: 'SELECT', login: 'SET LOCAL ROLE NONE' };

/** Rows of one statement without parameters; in one message, so that no session is left as another. */
export async function ask<Row>(
  sql: Sql,
  as: As,
  statement: ReturnType<Sql>,
): Promise<readonly Row[]> {
  const [, rows] = await sql<[never, Row[]]>`${sql.unsafe(BEFORE[as])}; ${statement}`.simple();
  return rows;
}
