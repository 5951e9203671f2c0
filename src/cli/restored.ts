/** `muster restored`: tells an installation that its database went back in time. */
import { loadDatabaseConfig } from '../config.ts';
import { databaseProblem } from '../db/errors.ts';
import { openSession } from '../db/session.ts';
import { renewIncarnation, type Term } from '../leader/election.ts';
import { EXIT, fail, printJson, type Io } from './io.ts';
import { version } from './version.ts';

export const restoredHelp = `muster restored [--database-url URL] [--schema NAME] [--json]

Say it after a database was restored from a disk or volume snapshot, before any process starts. A restore to a point
in time, another cluster and a promoted standby are noticed without it; a snapshot looks like an ordinary restart.
Cursors of the event log that were given before are then refused (409), so that a reader who kept a copy notices.
With roles, give the leader's login or the owner's. MUSTER_DATABASE_URL and MUSTER_SCHEMA are read too.

Exit codes: 0 done, or nobody ever led here; 1 the database refused; 2 wrong settings.
`;

/** One row is written; what takes longer waits for a transaction of a leader that still runs. */
const DEADLINE_MS = 30_000;

export async function restored(args: string[], io: Io): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    io.stdout.write(restoredHelp);
    return EXIT.ok;
  }
  const json = args.includes('--json');
  const loaded = loadDatabaseConfig(args.filter((arg) => arg !== '--json'));
  if (!loaded.ok)
    return fail(io, { command: 'restored', json }, EXIT.usage, loaded.problems.join('\n  - '));
  const { databaseUrl: url, schema } = loaded.config;
  try {
    const term = await renew(url, schema);
    if (json) printJson(io, { ok: true, schema, ...term });
    else io.stdout.write(`schema ${schema}: ${sentence(term)}\n`);
    return EXIT.ok;
  } catch (error) {
    return fail(
      io,
      { command: 'restored', json },
      EXIT.no,
      databaseProblem(error, { who: 'leads' }),
    );
  }
}

async function renew(url: string, schema: string): Promise<Term | null> {
  const database = { url, schema, name: 'muster-restored' };
  const session = await openSession(database, {
    role: 'restored',
    settings: {},
    deadlineMs: DEADLINE_MS,
  });
  try {
    const candidate = { holder: 'muster restored', address: '', version: version() };
    return await session.run((sql) => renewIncarnation(sql, candidate));
  } finally {
    await session.end();
  }
}

function sentence(term: Term | null): string {
  return term === null
    ? 'nobody ever led here; nothing to do'
    : `incarnation ${term.incarnation}, epoch ${String(term.epoch)}; start the processes now`;
}
