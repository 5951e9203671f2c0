/** What a login lacks of what its role needs: GRANTS, asked back. */
import type { Sql } from './driver.ts';
import { API_SEQUENCES, appliedPrefix, GRANTS, LEADER_FUNCTIONS, roleNames } from './roles.ts';

export interface Rights {
  /** What the login is for: the roles that it is in; outside of them, what it may add to. */
  readonly serves: boolean;
  readonly leads: boolean;
  /** Such as `INSERT on presence`. */
  readonly lacksToServe: readonly string[];
  readonly lacksToLead: readonly string[];
  /** Tables whose rows a policy hides from the login: each statement on them fails. */
  readonly veiled: readonly string[];
}

/** A login without any grant lacks forty: the first show which kind it is. */
const NAMED_RIGHTS = 5;

export function named(lacking: readonly string[]): string {
  const more = lacking.length - NAMED_RIGHTS;
  const first = lacking.slice(0, NAMED_RIGHTS).join(', ');
  return more > 0 ? `${first} and ${String(more)} more` : first;
}

/** Functions of the server that everybody may call, unless somebody took that away: nothing works without them. */
const NEEDED = [
  ...['pg_control_system()', 'pg_current_wal_lsn()', 'pg_walfile_name(pg_lsn)'],
  ...['pg_try_advisory_lock(integer,integer)', 'pg_advisory_unlock(integer,integer)'],
  ...['pg_notify(text,text)', 'pg_notification_queue_usage()', 'set_config(text,text,boolean)'],
  ...['pg_backend_pid()', 'pg_blocking_pids(integer)', 'pg_terminate_backend(integer,bigint)'],
  ...['pg_is_in_recovery()', 'pg_postmaster_start_time()', 'pg_sleep(double precision)'],
];

/** Those of them that a role may not call. */
export async function uncallable(sql: Sql): Promise<readonly string[]> {
  const rows = await sql<{ name: string }[]>`
    SELECT name FROM json_array_elements_text(${JSON.stringify(NEEDED)}::text::json) AS f (name)
    WHERE NOT has_function_privilege(to_regprocedure(name)::oid, 'EXECUTE')`;
  return rows.map(({ name }) => name);
}

/** False on a standby, and where a setting makes this login's transactions read only. */
export async function takesWrites(sql: Sql): Promise<boolean> {
  const [row] = await sql<{ writes: boolean }[]>`
    SELECT current_setting('transaction_read_only') = 'off' AS writes`;
  return row?.writes === true;
}

type Purpose = Pick<Rights, 'serves' | 'leads'>;

/** Null while there are no tables to have rights on. */
export async function readRights(sql: Sql, schema: string): Promise<Rights | null> {
  const [there] = await sql<{ found: boolean }[]>`
    SELECT to_regclass('input_queue') IS NOT NULL AND to_regclass('event_log') IS NOT NULL AS found`;
  if (there?.found !== true) return null;
  return {
    ...(await readPurpose(sql, schema)),
    lacksToServe: [...(await lackingOnTables(sql, 'api')), ...(await lackingSequences(sql))],
    lacksToLead: [...(await lackingOnTables(sql, 'leader')), ...(await lackingFunctions(sql))],
    veiled: await veiledTables(sql),
  };
}

async function readPurpose(sql: Sql, schema: string): Promise<Purpose> {
  const prefix = await appliedPrefix(sql, schema);
  const member = prefix === null ? null : await readMembership(sql, prefix);
  if (member !== null && (member.serves || member.leads)) return member;
  const [row] = await sql<{ appends: boolean; enqueues: boolean }[]>`
    SELECT has_table_privilege('event_log', 'INSERT') AS appends,
      has_table_privilege('input_queue', 'INSERT') AS enqueues`;
  const leads = row?.appends === true;
  return { leads, serves: row?.enqueues === true || !leads };
}

async function readMembership(sql: Sql, prefix: string): Promise<Purpose | null> {
  const { api, leader } = roleNames(prefix);
  const [row] = await sql<Purpose[]>`
    SELECT pg_has_role(${api}, 'USAGE') AS serves, pg_has_role(${leader}, 'USAGE') AS leads`;
  return row ?? null;
}

interface Wanted {
  readonly name: string;
  readonly privilege: string;
  /** Null: of the whole table. */
  readonly column: string | null;
}

function wantedOf(role: 'api' | 'leader'): Wanted[] {
  return Object.entries(GRANTS).flatMap(([name, reach]) =>
    [...reach[role].matchAll(/([A-Z]+)(?: \((\w+)\))?/g)].map(([, privilege = '', column]) => ({
      ...{ name, privilege, column: column ?? null },
    })),
  );
}

/** What the schema has not got is missed by its version and its shape, not here. */
async function lackingOnTables(sql: Sql, role: 'api' | 'leader'): Promise<string[]> {
  const rows = await sql<{ text: string }[]>`
    SELECT privilege || coalesce(' (' || "column" || ')', '') || ' on ' || name AS text
    FROM json_to_recordset(${JSON.stringify(wantedOf(role))}::text::json)
      AS wanted (name text, privilege text, "column" text)
    WHERE to_regclass(name) IS NOT NULL
      AND NOT CASE WHEN "column" IS NULL THEN has_table_privilege(to_regclass(name)::oid, privilege)
        ELSE has_column_privilege(to_regclass(name)::oid, (SELECT attnum FROM pg_attribute
          WHERE attrelid = to_regclass(name) AND attname = "column"), privilege) END`;
  return rows.map(({ text }) => text);
}

async function veiledTables(sql: Sql): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    SELECT name FROM json_array_elements_text(${JSON.stringify(Object.keys(GRANTS))}::text::json) AS t (name)
    WHERE to_regclass(name) IS NOT NULL AND row_security_active(to_regclass(name)::oid)`;
  return rows.map(({ name }) => name);
}

async function lackingSequences(sql: Sql): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    SELECT name FROM json_array_elements_text(${JSON.stringify(API_SEQUENCES)}::text::json) AS s (name)
    WHERE to_regclass(name) IS NOT NULL
      AND NOT has_sequence_privilege(to_regclass(name)::oid, 'USAGE')`;
  return rows.map(({ name }) => `USAGE on ${name}`);
}

async function lackingFunctions(sql: Sql): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    SELECT name FROM json_array_elements_text(${JSON.stringify(LEADER_FUNCTIONS)}::text::json) AS f (name)
    WHERE to_regprocedure(name) IS NOT NULL
      AND NOT has_function_privilege(to_regprocedure(name)::oid, 'EXECUTE')`;
  return rows.map(({ name }) => `EXECUTE on ${name}`);
}
