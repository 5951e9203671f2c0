/** `muster doctor`: what of a database would break Muster's design, and what to do about it. */
import { loadDatabaseConfig } from '../config.ts';
import { readFacts, type Facts } from '../db/doctor.ts';
import { databaseProblem } from '../db/errors.ts';
import { askDatabase } from './ask.ts';
import { EXIT, fail, printJson, type Io } from './io.ts';

export const doctorHelp = `muster doctor [--database-url URL] [--schema NAME] [--json]

Looks at the database as Muster would use it, changes nothing, and says what is wrong and what to do:
a transaction pooler in between, a standby, an old version, missing rights, a schema of another version, clocks
that differ, long transactions, writes that are not durable. MUSTER_DATABASE_URL and MUSTER_SCHEMA are read too;
run it with the leader's URL as well, if that is another one.

Exit codes: 0 nothing is wrong, though there may be warnings; 1 something is; 2 wrong settings, or nobody answered.
`;

export interface Finding {
  /** `wrong`: Muster does not work, or not safely. `warning`: it does, with the loss that is named. */
  readonly level: 'wrong' | 'warning';
  readonly check: string;
  /** What is so, and what to do. */
  readonly text: string;
}

/** idle_session_timeout, which frees a frozen leader's lock, came with 14; 15 is the oldest tested. */
const OLDEST_VERSION = 150_000;
/** Signatures may be a minute ahead and graces are minutes: a few seconds are noise, more is a clock that runs free. */
const SKEW_MS = 5_000;
/** The queue's dead rows pile up behind it: at full load some 400,000 in a minute. */
const LONG_TRANSACTION_SECONDS = 60;
/** A process takes about a dozen connections; two of them should find room. */
const SPARE_CONNECTIONS = 30;

/** Each rule answers with what is wrong, or with nothing. */
const RULES: readonly ((facts: Facts) => Finding | null)[] = [
  ({ backendPid, greetedByPid }) =>
    greetedByPid === null || greetedByPid === backendPid
      ? null
      : wrong(
          'pooler',
          'a pooler stands between: another backend answers than the one that was connected to. Locks and LISTEN get lost in transaction mode: give the URL of PostgreSQL itself',
        ),
  ({ recovering }) =>
    recovering ? wrong('standby', 'the server is a standby: give the URL of the primary') : null,
  ({ version }) =>
    version < OLDEST_VERSION
      ? wrong('version', `PostgreSQL ${dotted(version)} is too old: upgrade to 15 or newer`)
      : null,
  ({ schemaProblem }) => (schemaProblem === null ? null : wrong('schema', schemaProblem)),
  ({ rights }) =>
    rights === null || rights.enqueues
      ? null
      : wrong(
          'rights',
          'the role may not insert into input_queue: grant it with muster migrate --roles',
        ),
  ({ rights }) =>
    rights === null || rights.leads
      ? null
      : warning(
          'leader-rights',
          'the role may not write the log: with it, a process serves but cannot lead. Give a role that may as MUSTER_LEADER_DATABASE_URL',
        ),
  ({ seesControl }) =>
    seesControl
      ? null
      : wrong(
          'control',
          'the role may not call pg_control_system(), by which a leader knows its cluster: grant EXECUTE',
        ),
  ({ fsync }) =>
    fsync
      ? null
      : wrong('fsync', 'fsync is off: what was acknowledged is lost in a crash; turn it on'),
  ({ synchronousCommit }) =>
    synchronousCommit === 'off'
      ? wrong(
          'synchronous-commit',
          'synchronous_commit is off: a crash loses what was acknowledged; set it to on',
        )
      : null,
  ({ synchronousStandbys }) =>
    synchronousStandbys === ''
      ? warning(
          'standby-sync',
          'no synchronous standby: a failover of the database may lose the last commits. Set synchronous_standby_names, or accept that',
        )
      : null,
  ({ clockAheadMs, roundTripMs }) =>
    Math.abs(clockAheadMs) - roundTripMs / 2 > SKEW_MS
      ? wrong(
          'clock',
          `the server's clock and this machine's differ by ${String(Math.round(Math.abs(clockAheadMs) / 1_000))} s: run NTP on both`,
        )
      : null,
  ({ horizon }) =>
    horizon.seconds > LONG_TRANSACTION_SECONDS
      ? warning(
          'long-transaction',
          `a transaction is open for ${String(Math.round(horizon.seconds))} s, and vacuum cleans nothing that is newer: end it, or set idle_in_transaction_session_timeout for its role`,
        )
      : null,
  ({ seesOthers }) =>
    seesOthers
      ? null
      : warning('stats', "the role does not see others' transactions: grant it pg_read_all_stats"),
  ({ maxConnections, connections }) =>
    maxConnections - connections < SPARE_CONNECTIONS
      ? warning(
          'connections',
          `${String(connections)} of ${String(maxConnections)} connections are taken: raise max_connections`,
        )
      : null,
];

/** Everything that the facts speak against. */
export function diagnose(facts: Facts): readonly Finding[] {
  return RULES.flatMap((rule) => rule(facts) ?? []);
}

export async function doctor(args: string[], io: Io): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    io.stdout.write(doctorHelp);
    return EXIT.ok;
  }
  const json = args.includes('--json');
  const loaded = loadDatabaseConfig(args.filter((arg) => arg !== '--json'));
  if (!loaded.ok)
    return fail(io, { command: 'doctor', json }, EXIT.usage, loaded.problems.join('\n  - '));
  const { databaseUrl: url, schema } = loaded.config;
  try {
    const database = { url, schema, name: 'muster-doctor' };
    const facts = await askDatabase(database, 'doctor', (sql) => readFacts(sql, Date.now));
    return report(io, json, diagnose(facts));
  } catch (error) {
    return fail(io, { command: 'doctor', json }, EXIT.usage, databaseProblem(error));
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

function wrong(check: string, text: string): Finding {
  return { level: 'wrong', check, text };
}

function warning(check: string, text: string): Finding {
  return { level: 'warning', check, text };
}

function dotted(version: number): string {
  return `${String(Math.floor(version / 10_000))}.${String(version % 10_000)}`;
}
