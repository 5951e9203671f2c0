/**
 * What of the database's logins settings cannot show. Strict mode's last demands, asked at the start: the API's may not
 * write the event log, the leader's may do all that leading takes. `leads.ts` asks likewise of a process that fails to
 * lead.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Config } from '../config.ts';
import { isStrict } from '../config/strict.ts';
import type { DatabaseOptions, Sql } from '../db/driver.ts';
import {
  databaseTrouble,
  isDenied,
  isUnusable,
  sqlState,
  stateTrouble,
  type UrlVariable,
} from '../db/errors.ts';
import { LEADS_ELSEWHERE, settingsProblem, whichDatabase } from '../db/path.ts';
import type { Pool } from '../db/pool.ts';
import { named, readRights, takesWrites, uncallable } from '../db/rights.ts';
import { openSession } from '../db/session.ts';
import {
  mayWriteLog,
  readLogEndProblem,
  schemaProblem,
  schemaStanding,
  SHOW,
  type Standing,
} from '../db/standing.ts';

/** A start waits no longer for a database that does not answer: then it is asked until it does. */
const WITHIN_MS = 2_000;
const AGAIN_MS = 1_000;
const API_WRITES =
  'strict mode: the login of MUSTER_DATABASE_URL may write the event log; give it the role of the API alone (docs/database-roles.md)';

export interface Logins {
  readonly config: Pick<Config, 'strict' | 'devIdentity' | 'roles' | 'leaderDatabaseUrl'>;
  /** Of the API's login. */
  readonly pool: Pool;
  readonly leaderDatabase: DatabaseOptions;
}

/** Why a login will not do; null where it will; undefined where the database does not say. */
type Answer = string | null | undefined;

/** Why the API's login will not do; null where it will, or where the database does not say. */
export async function apiLoginProblem(logins: Logins): Promise<string | null> {
  return (await askApi(logins)) ?? null;
}

async function askApi({ config, pool }: Logins): Promise<Answer> {
  if (!isStrict(config) || !config.roles.includes('api')) return null;
  return pool.run(mayWriteLog).then(
    (may) => (may ? API_WRITES : null),
    () => undefined,
  );
}

/**
 * Why nobody could lead with the leader's URL. `login`: its rights or its entry, which the database told. `database`: there
 * is none of that name. `elsewhere`: it is another one than the API's. `state`: takes no writes or no connections now, is reached through
 * what drops settings, or lacks rows of the log. `silent`: nobody answers, or too late.
 */
export interface LeadTrouble {
  readonly of: 'login' | 'database' | 'elsewhere' | 'state' | 'silent';
  /** `/readyz` says it to anybody: no login, host or database is named. */
  readonly why: string;
}

export function leadersVariable({
  leaderDatabaseUrl,
}: Pick<Config, 'leaderDatabaseUrl'>): UrlVariable {
  return leaderDatabaseUrl === null ? 'MUSTER_DATABASE_URL' : 'MUSTER_LEADER_DATABASE_URL';
}

/** Asked on a session of its own; null where it can lead. */
export async function leadTrouble(logins: Logins): Promise<LeadTrouble | null> {
  const { config, leaderDatabase } = logins;
  const variable = leadersVariable(config);
  const none = `${variable} serves no leader`;
  try {
    return await askOnce(leaderDatabase, async (sql) => {
      const standing = await schemaStanding(sql);
      const lacks = await whyNotLead(sql, leaderDatabase.schema, standing);
      if (lacks !== null)
        return { of: 'login', why: `the login of ${variable} may not lead: ${lacks}` };
      if (!(await takesWrites(sql)))
        return { of: 'state', why: `${none}: ${stateTrouble(READ_ONLY, variable)}` };
      if (await leadsElsewhere(sql, logins)) return { of: 'elsewhere', why: LEADS_ELSEWHERE };
      const stops = (await settingsProblem(sql)) ?? (await logProblem(sql, standing));
      return stops === null ? null : { of: 'state', why: `${none}: ${stops}` };
    });
  } catch (error) {
    return { of: kindOf(error), why: `${none}: ${databaseTrouble(error, variable)}` };
  }
}

/** False where the API's database does not say: that is told of by itself. */
async function leadsElsewhere(sql: Sql, { config, pool }: Logins): Promise<boolean> {
  if (config.leaderDatabaseUrl === null) return false;
  const before = await pool.run(whichDatabase).catch(() => null);
  const leaders = await whichDatabase(sql);
  if (before === null || before === leaders) return false;
  // A server that was started anew in between is another one only for a moment.
  const after = await pool.run(whichDatabase).catch(() => null);
  return after === before;
}

/** A schema that does not fit is told of by itself. */
async function logProblem(sql: Sql, standing: Standing): Promise<string | null> {
  return schemaProblem(standing) === null ? readLogEndProblem(sql) : null;
}

/** What a writer would be told. */
const READ_ONLY = '25006';

function kindOf(error: unknown): LeadTrouble['of'] {
  if (isDenied(error)) return 'login';
  if (!isUnusable(error)) return 'silent';
  return sqlState(error) === '3D000' ? 'database' : 'state';
}

/** Only of its login is a process refused: a database may come, or take writes again. */
async function askLeader(logins: Logins): Promise<Answer> {
  const trouble = await leadTrouble(logins);
  if (trouble === null) return null;
  return trouble.of === 'login' ? trouble.why : undefined;
}

const GIVE = 'give it the role of the leader (docs/database-roles.md)';

async function whyNotLead(sql: Sql, schema: string, { hidden }: Standing): Promise<string | null> {
  if (hidden) return `it may not use the schema: ${SHOW}`;
  const rights = await readRights(sql, schema);
  const control = (await uncallable(sql)).map((name) => `EXECUTE on ${name}`);
  const lacks = [...(rights?.lacksToLead ?? []), ...control];
  if (lacks.length > 0) return `it lacks ${named(lacks)}; ${GIVE}`;
  return rights === null || rights.veiled.length === 0
    ? null
    : `row level security hides rows of ${named(rights.veiled)} from it; disable it there, or give the login BYPASSRLS`;
}

async function askOnce<T>(database: DatabaseOptions, ask: (sql: Sql) => Promise<T>): Promise<T> {
  const options = { role: 'rights', settings: {}, deadlineMs: WITHIN_MS };
  const session = await openSession(database, options);
  try {
    return await session.run(ask);
  } finally {
    await session.end();
  }
}

export function leads({ config }: Logins): boolean {
  return config.roles.includes('leader') || config.roles.includes('workers');
}

function asked(logins: Logins): readonly ((logins: Logins) => Promise<Answer>)[] {
  if (!isStrict(logins.config)) return [];
  return [askApi, ...(leads(logins) ? [askLeader] : [])];
}

/** Rejects with the reason where a process must not start. */
export async function refuseLogins(logins: Logins): Promise<void> {
  const none = delay(WITHIN_MS, null, { ref: false });
  for (const problem of asked(logins).map((ask) => Promise.race([ask(logins), none]))) {
    const why = await problem;
    if (typeof why === 'string') throw new Error(why);
  }
}

/** Rejects with the reason once a database that was silent at the start has told of it; else never settles. */
export async function untilUnfit(logins: Logins): Promise<never> {
  const fits = new Promise<never>(() => undefined);
  const told = asked(logins).map(async (ask) => {
    for (;;) {
      const problem = await ask(logins);
      if (typeof problem === 'string') throw new Error(problem);
      if (problem === null) return fits;
      await delay(AGAIN_MS, null, { ref: false });
    }
  });
  return Promise.race([fits, ...told]);
}
