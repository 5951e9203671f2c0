/** `muster doctor`: what of a database would break Muster's design, and what to do about it. */
import { loadDatabaseUrls } from '../config.ts';
import { DEADLINE_IS_OURS, type DatabaseOptions } from '../db/driver.ts';
import { readFacts, writesNothing } from '../db/doctor.ts';
import { databaseProblem, sqlState } from '../db/errors.ts';
import { LEADS_ELSEWHERE, readPath, whichDatabase } from '../db/path.ts';
import { uncallable } from '../db/rights.ts';
import { askDatabase } from './ask.ts';
import { diagnose, mayNotCall, type Finding } from './doctor-rules.ts';
import { EXIT, fail, printJson, type Io } from './io.ts';

export const doctorHelp = `muster doctor [--database-url URL] [--schema NAME] [--json]

Looks at the database as Muster would use it, changes nothing, and says what is wrong and what to do:
a transaction pooler in between, notifications that do not arrive, a standby, an old version, missing rights, rows that a policy hides, a schema of another version, a log that
somebody made changeable, clocks that differ, long transactions, writes that are not durable or wait for a standby that is away, a stranger that
holds the leader's or the workers' lock, leaders that could not end each other's frozen sessions, nobody who works, a log whose last rows are missing or that is ahead of the clock, a full queue of notifications, tables, columns or
indexes that were dropped, triggers that are missing or somebody else's, tables that a crash empties, another encoding than UTF8, too few connections. MUSTER_DATABASE_URL and MUSTER_SCHEMA are read too; run it with the leader's URL as
well, if that is another one. Where MUSTER_LEADER_DATABASE_URL is set it must lead to the same database.

Exit codes: 0 nothing is wrong, though there may be warnings; 1 something is; 2 wrong settings, or nobody answered.
`;

/** A right is missing. */
const REFUSED = '42501';

export async function doctor(args: string[], io: Io): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    io.stdout.write(doctorHelp);
    return EXIT.ok;
  }
  const json = args.includes('--json');
  const loaded = loadDatabaseUrls(args.filter((arg) => arg !== '--json'));
  if (!loaded.ok)
    return fail(io, { command: 'doctor', json }, EXIT.usage, loaded.problems.join('\n  - '));
  const { databaseUrl: url, leaderDatabaseUrl, schema } = loaded.config;
  try {
    const database = { url, schema, name: 'muster-doctor' };
    // Without what it sets itself: only so it sees what the processes' sessions get.
    const readOnly = await askDatabase(database, 'doctor', writesNothing, DEADLINE_IS_OURS);
    const facts = await askDatabase(database, 'doctor', (sql) => readFacts(sql, schema, Date.now));
    const path = await readPath(database, !facts.recovering);
    const leaderUrl = await askLeadersUrl(database, leaderDatabaseUrl);
    return report(io, json, diagnose({ ...facts, ...path, readOnly, leaderUrl }));
  } catch (error) {
    const refused = mayNotCall(
      await uncallableIfRefused(error, { url, schema, name: 'muster-doctor' }),
    );
    if (refused !== null) return report(io, json, [refused]);
    return fail(
      io,
      { command: 'doctor', json },
      EXIT.usage,
      databaseProblem(error, { who: 'asks' }),
    );
  }
}

async function uncallableIfRefused(
  error: unknown,
  database: DatabaseOptions,
): Promise<readonly string[]> {
  if (sqlState(error) !== REFUSED) return [];
  return askDatabase(database, 'doctor', uncallable).catch(() => []);
}

/** Null: it leads to the same database, or there is none. */
async function askLeadersUrl(
  database: DatabaseOptions,
  url: string | null,
): Promise<string | null> {
  if (url === null) return null;
  try {
    const own = await askDatabase(database, 'doctor', whichDatabase);
    const leaders = await askDatabase({ ...database, url }, 'doctor', whichDatabase);
    return own === leaders ? null : LEADS_ELSEWHERE;
  } catch (error) {
    return databaseProblem(error, { variable: 'MUSTER_LEADER_DATABASE_URL' });
  }
}

function report(io: Io, json: boolean, findings: readonly Finding[]): number {
  const ok = findings.every(({ level }) => level === 'warning');
  if (json) printJson(io, { ok, findings });
  else {
    for (const { level, check, text } of findings) io.stdout.write(`${level}: ${check}: ${text}\n`);
    io.stdout.write(
      ok ? 'Muster can work on this database\n' : 'Muster must not work on this database\n',
    );
  }
  return ok ? EXIT.ok : EXIT.no;
}
