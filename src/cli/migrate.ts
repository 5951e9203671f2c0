/** `muster migrate`: brings the installation's schema to this version. Safe when several run at once. */
import { loadDatabaseConfig } from '../config.ts';
import { readUnguarded, unguardedProblem } from '../db/append-only.ts';
import { backoffMs, pause } from '../db/backoff.ts';
import type { DatabaseOptions, Sql } from '../db/driver.ts';
import { databaseProblem, isAway, isContended } from '../db/errors.ts';
import { migrate as migrateSchema, type MigrationOutcome } from '../db/migrate.ts';
import { sqlOf } from '../db/migration-files.ts';
import { scriptOf, type Work } from '../db/migration-script.ts';
import { lostTriggersProblem, readLostTriggers, type LostTrigger } from '../db/own-triggers.ts';
import { readOwnerGaps, type OwnerGaps } from '../db/owners.ts';
import { named } from '../db/rights.ts';
import { gapsProblem, readGaps, readRoleStep, whatToGrant } from '../db/role-step.ts';
import { tableOwner } from '../db/roles.ts';
import { schemaProblem, schemaStanding, type Standing } from '../db/standing.ts';
import { askDatabase } from './ask.ts';
import { EXIT, fail, printJson, type Io } from './io.ts';

export const migrateHelp = `muster migrate [--database-url URL] [--schema NAME] [--roles [--role-prefix NAME]]
               [--check | --plan] [--json]

Applies the migrations that the schema lacks, in order, and creates the schema if it is not there. Several
may run at once: one works, the others wait and find nothing to do. The role needs CREATE on the database
for a new schema, and must own an existing one, or be a superuser: what is new belongs to whom the rest does, and what of
Muster's belongs to others is handed to them. MUSTER_DATABASE_URL and MUSTER_SCHEMA are read too.
A database that is away, or a table that is locked, is waited for: a minute, saying so. Statements of a running
Muster never stand behind a migration for more than half a second at a time.

--roles makes the roles NAME_owner, NAME_api, NAME_leader and NAME_readonly (NAME: the schema's) and grants each
the least it needs; docs/database-roles.md says how to use them. It needs CREATEROLE, or roles that are there.
Later runs renew the grants by themselves; in a schema that a newer Muster has brought forward they are left as they are.
What somebody else made in the schema is left as it is, and named.

--check changes nothing, and says what is pending. --plan changes nothing, and prints the SQL that would run, grants
and owners too, with what it needs around it: psql runs it as it stands. With roles, ask as the login that migrates or as
a superuser. Where grants are all that differs, --check says so too.

Another trigger of Muster's that is missing, off or changed is put back. Not those that keep the event log append only:
--check and --plan say where they are, and what puts them back, once somebody has asked who did that.

Exit codes: 0 the schema is at this version; 1 it could not be brought there, or (--check) is not as it should be; 2 wrong
settings, or (--check, --plan) nobody could be asked.
`;

export async function migrate(args: string[], io: Io): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    io.stdout.write(migrateHelp);
    return EXIT.ok;
  }
  const json = args.includes('--json');
  const ask = ASKS.filter((flag) => args.includes(flag));
  if (ask.length > 1)
    return fail(io, { command: 'migrate', json }, EXIT.usage, '--check or --plan, not both');
  const { roles, prefix, rest } = roleFlags(
    args.filter((arg) => arg !== '--json' && !ASKS.some((flag) => flag === arg)),
  );
  const loaded = loadDatabaseConfig(rest);
  if (!loaded.ok)
    return fail(io, { command: 'migrate', json }, EXIT.usage, loaded.problems.join('\n  - '));
  const { databaseUrl: url, schema } = loaded.config;
  const rolePrefix = roles ? (prefix ?? schema) : null;
  const database = { url, schema, name: 'muster-migrate' };
  if (ask[0] !== undefined) return answer(io, json, ask[0], { ...database, rolePrefix });
  const options = rolePrefix === null ? {} : { rolePrefix };
  try {
    const outcome = await whenThere(io, () => migrateSchema(database, options));
    if (json) printJson(io, { ok: true, schema, ...outcome });
    else io.stdout.write(`${sentence(schema, outcome)}\n`);
    return EXIT.ok;
  } catch (error) {
    return fail(io, { command: 'migrate', json }, EXIT.no, databaseProblem(error, MIGRATES));
  }
}

const ASKS = ['--check', '--plan'] as const;
const MIGRATES = { who: 'migrates' } as const;

interface Asked extends DatabaseOptions {
  /** As --roles has it; null: as it was applied before, if it was. */
  readonly rolePrefix: string | null;
}

/** Reads only, on a session that could not write. */
async function answer(
  io: Io,
  json: boolean,
  ask: (typeof ASKS)[number],
  { rolePrefix, ...database }: Asked,
): Promise<number> {
  const { schema } = database;
  try {
    const found = await whenThere(io, () =>
      askDatabase(database, 'check', async (sql) => {
        const standing = await schemaStanding(sql);
        const log = unguardedProblem(schema, await readUnguarded(sql));
        const lost = await readLostTriggers(sql, standing);
        return ask === '--check'
          ? { ask, standing, log, lost, gaps: await readGaps(sql, schema, standing) }
          : { ask, standing, log, lost, ...(await readPlan(sql, schema, rolePrefix, standing)) };
      }),
    );
    return found.ask === '--check' ? check(io, json, schema, found) : plan(io, json, schema, found);
  } catch (error) {
    return fail(io, { command: 'migrate', json }, EXIT.usage, databaseProblem(error));
  }
}

async function readPlan(
  sql: Sql,
  schema: string,
  wanted: string | null,
  standing: Standing,
): Promise<Omit<Plan, keyof Found>> {
  const { prefix, leftTo } = await whatToGrant(sql, schema, wanted, standing);
  const roles = prefix === null ? null : await readRoleStep(sql, schema, prefix);
  const handOver = standing.newer.length > 0 ? [] : (await readOwnerGaps(sql, schema)).statements;
  const { pending } = standing;
  return { work: { pending, handOver, owner: await tableOwner(sql, schema), roles }, leftTo };
}

interface Found {
  readonly standing: Standing;
  /** What lets the event log be changed: no migration mends that. */
  readonly log: string | null;
  readonly lost: readonly LostTrigger[];
}

interface Checked extends Found {
  /** What of owners and grants is not as it should be. */
  readonly gaps: OwnerGaps;
}

function check(
  io: Io,
  json: boolean,
  schema: string,
  { standing, log, lost, gaps }: Checked,
): number {
  const { version, known, changed, tooNew } = standing;
  const pending = standing.pending.map(({ name }) => name);
  const edited = changed.length === 0 ? null : `${changed.join(', ')} changed after it was applied`;
  const problem =
    edited ??
    schemaProblem(standing) ??
    gapsProblem(gaps, standing) ??
    lostTriggersProblem(lost) ??
    log;
  if (json) {
    const grants = gaps.statements;
    const triggers = lost.map(({ name }) => name);
    const state = { version, known, pending, changed, tooNew, grants, triggers };
    printJson(io, { ok: problem === null, schema, ...state, appendOnly: log === null });
  } else {
    const fine = `the schema is at version ${String(version)}, and has what this Muster's ${String(known)} wants`;
    io.stdout.write(`schema ${schema}: ${problem ?? fine}\n`);
  }
  return problem === null ? EXIT.ok : EXIT.no;
}

interface Plan extends Found {
  readonly work: Omit<Work, 'lost'>;
  readonly leftTo: readonly string[];
}

function plan(io: Io, json: boolean, schema: string, found: Plan): number {
  const { standing, work, log, lost, leftTo } = found;
  const { pending, handOver, roles } = work;
  const { version } = standing;
  const script = scriptOf(schema, { ...work, lost });
  const strangers = roles?.strangers ?? [];
  if (json) {
    const steps = pending.map((migration) => ({
      name: migration.name,
      sql: sqlOf(migration, schema),
      oldestCode: migration.oldestCode,
    }));
    const grants = roles?.differences ?? [];
    const putBack = lost.map(({ name }) => name);
    const state = { version, pending: steps, handOver, putBack, grants, strangers, leftTo };
    printJson(io, { ok: true, schema, ...state, log, script });
  } else {
    const told = [log ?? '', leftAlone(strangers), leftToNewer(leftTo)];
    const remarks = told.filter((text) => text !== '');
    const lines = [...remarks.map((text) => `-- ${text}`), script ?? `-- ${nothing(schema, log)}`];
    io.stdout.write(`${lines.join('\n')}\n`);
  }
  return EXIT.ok;
}

function nothing(schema: string, log: string | null): string {
  return `schema ${schema}: nothing to ${log === null ? 'do' : 'migrate'}`;
}

/** A sentence; empty where there is nothing to say. */
function leftAlone(strangers: readonly string[]): string {
  return strangers.length === 0
    ? ''
    : `not of Muster's migrations, and left as it is: ${strangers.join(', ')}`;
}

/** Of owners and grants: a sentence, or empty. */
function leftToNewer(names: readonly string[]): string {
  return names.length === 0
    ? ''
    : `owners and grants are left to the version that brought ${names.join(', ')}`;
}

/** `--role-prefix NAME` implies `--roles`; what is left are settings. */
function roleFlags(args: readonly string[]): {
  readonly roles: boolean;
  readonly prefix: string | undefined;
  readonly rest: string[];
} {
  const at = args.indexOf('--role-prefix');
  const prefix = at < 0 ? undefined : (args[at + 1] ?? '');
  const rest = args.filter((arg, i) => arg !== '--roles' && (at < 0 || (i !== at && i !== at + 1)));
  return { roles: at >= 0 || args.includes('--roles'), prefix, rest };
}

/** A database that starts together with us takes seconds; whoever started us tries again after a minute. */
const WAIT_MS = 60_000;
const BACKOFF = { firstMs: 250, maxMs: 5_000 };

/** Repeats while only the database's absence or somebody's lock is in the way. Each migration is one transaction. */
async function whenThere<T>(io: Io, work: () => Promise<T>): Promise<T> {
  const until = Date.now() + WAIT_MS;
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      const wait = backoffMs(BACKOFF, attempt, Math.random);
      const passes = isAway(error) || isContended(error);
      if (!passes || Date.now() + wait > until) throw error;
      io.stderr.write(`muster migrate: ${databaseProblem(error)}; trying again\n`);
      await pause(wait);
    }
  }
}

function sentence(schema: string, outcome: MigrationOutcome): string {
  const { version, applied, handedOver, putBack, roles, strangers, leftTo } = outcome;
  const steps = [
    ...(handedOver.length === 0 ? [] : [`handed over what others held (${named(handedOver)})`]),
    ...(applied.length === 0 ? [] : [`applied ${applied.join(', ')}`]),
    ...(putBack.length === 0 ? [] : [`put back ${putBack.join(', ')}`]),
  ];
  const done = steps.length === 0 ? 'nothing to do' : steps.join('; ');
  const granted = roles === null ? '' : `; granted to ${Object.values(roles).join(', ')}`;
  const first = `schema ${schema} is at version ${String(version)}: ${done}${granted}`;
  const more = [leftToNewer(leftTo), leftAlone(strangers)].filter((text) => text !== '');
  return [first, ...more].join('\n');
}
