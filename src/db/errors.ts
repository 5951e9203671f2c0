/** What a database error means to those who have to decide whether to retry, refuse or step down. */
import postgres from 'postgres';
import { DeadlineError } from './deadline.ts';

/** The SQLSTATE of a server's error, else null. */
export function sqlState(error: unknown): string | null {
  return error instanceof postgres.PostgresError ? error.code : null;
}

/** Class 22 (data exception) and 54 (too large): this statement's values can never be stored. */
export function isDataError(error: unknown): boolean {
  const state = sqlState(error);
  return state !== null && (state.startsWith('22') || state.startsWith('54'));
}

/** The fence's refusal: another epoch leads. */
export function isFenced(error: unknown): boolean {
  return sqlState(error) === 'MU001';
}

/** A session that is over. Everything it had not committed is undone by the server. */
export class SessionClosedError extends Error {
  override readonly name = 'SessionClosedError';
}

/** Undefined table, function or schema. */
const NOT_MIGRATED: ReadonlySet<string> = new Set(['42P01', '42883', '3F000']);

/** For a log line: never with SQL or parameters, which may hold what agents sent. */
export function databaseProblem(error: unknown): string {
  if (error instanceof DeadlineError || error instanceof SessionClosedError) return error.message;
  const state = sqlState(error);
  if (state !== null && NOT_MIGRATED.has(state)) {
    return `${state}: the schema lacks Muster's tables; run "muster migrate" on it`;
  }
  if (error instanceof Error) return state === null ? error.message : `${state}: ${error.message}`;
  return String(error);
}
