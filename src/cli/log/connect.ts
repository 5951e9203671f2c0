/** What the commands that read the log share: where it is, and one session to read it with. */
import { loadDatabaseConfig } from '../../config.ts';
import type { DatabaseOptions } from '../../db/driver.ts';
import { openSession, type Session } from '../../db/session.ts';
import { schemaProblem, schemaStanding } from '../../db/standing.ts';
import type { Run } from '../../eventlog/stored.ts';
import { UsageError } from '../io.ts';

/** A page takes milliseconds; loading the tables of 100,000 hosts takes seconds. */
const DEADLINE_MS = 120_000;

export const DATABASE_OPTIONS = {
  'database-url': { type: 'string' },
  schema: { type: 'string' },
} as const;

export interface DatabaseValues {
  readonly 'database-url'?: string | undefined;
  readonly schema?: string | undefined;
}

/** MUSTER_DATABASE_URL and MUSTER_SCHEMA, or the flags of these names. */
export function databaseOf(values: DatabaseValues): DatabaseOptions {
  const flags = (['database-url', 'schema'] as const).flatMap((name) => {
    const value = values[name];
    return value === undefined ? [] : [`--${name}`, value];
  });
  const loaded = loadDatabaseConfig(flags);
  if (!loaded.ok) throw new UsageError(loaded.problems.join('; '));
  const { databaseUrl: url, schema } = loaded.config;
  return { url, schema, name: 'muster-log' };
}

export interface LogSession {
  readonly session: Session;
  readonly run: Run;
}

/** As `withSession`, for what reads the tables of this version: of an older schema it says what `migrate --check` says. */
export async function withTables<T>(
  database: DatabaseOptions,
  work: (log: LogSession) => Promise<T>,
): Promise<T> {
  return withSession(database, async (log) => {
    const problem = schemaProblem(await log.run((sql) => schemaStanding(sql)));
    if (problem !== null) throw new UsageError(problem);
    return work(log);
  });
}

export async function withSession<T>(
  database: DatabaseOptions,
  work: (log: LogSession) => Promise<T>,
): Promise<T> {
  const session = await openSession(database, {
    role: 'log',
    settings: {},
    deadlineMs: DEADLINE_MS,
  });
  try {
    return await work({ session, run: (read) => session.run(read) });
  } finally {
    await session.end();
  }
}
