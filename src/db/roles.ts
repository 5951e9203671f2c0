/**
 * Who may do what in the database: four roles, none of which can log in. An administrator makes logins and
 * puts each into one of them.
 *
 *   owner      DDL and migrations; owns everything, and is what the SECURITY DEFINER functions run as;
 *   api        takes inputs, notes presence and offers, reads state;
 *   leader     writes the log and what follows from it; the workers too use it;
 *   readonly   reads the log, the state and the schema of views.
 *
 * Roles belong to the server, not to a schema: their names begin with a prefix, the schema's name unless
 * another is given, so that installations that share a server can be kept apart. Applying is idempotent and
 * one transaction; it takes away what the table below does not name. A migrated table that is not named
 * here belongs to nobody but its owner, and a test says so.
 */
import type { Sql } from './driver.ts';

type Reach = Readonly<Record<'api' | 'leader' | 'readonly', string>>;

const DERIVED: Reach = {
  api: 'SELECT',
  leader: 'SELECT, INSERT, UPDATE, DELETE',
  readonly: 'SELECT',
};
const SHOWN: Reach = { api: 'SELECT', leader: 'SELECT', readonly: 'SELECT' };

/** What each role may do with each table or view; '' is nothing. */
export const GRANTS: Readonly<Record<string, Reach>> = {
  event_log: { api: 'SELECT', leader: 'SELECT, INSERT', readonly: 'SELECT' },
  fleet: DERIVED,
  channel: DERIVED,
  rollout: DERIVED,
  host_rollout: DERIVED,
  host: DERIVED,
  // FOR SHARE needs UPDATE on some column: this one is never written.
  dispatch: { ...DERIVED, api: 'SELECT, UPDATE (lock_only)' },
  quarantine: DERIVED,
  probe_failure: DERIVED,
  operator_token: DERIVED,
  operator_secret: {
    api: 'SELECT, INSERT, UPDATE (last_used_at)',
    leader: 'SELECT, DELETE',
    readonly: '',
  },
  host_blocker: DERIVED,
  enrolment: DERIVED,
  epoch: { api: 'SELECT', leader: 'SELECT, INSERT, UPDATE', readonly: 'SELECT' },
  leader_progress: { api: 'SELECT', leader: 'SELECT, INSERT, UPDATE', readonly: 'SELECT' },
  input_queue: { api: 'SELECT, INSERT', leader: 'SELECT, DELETE', readonly: 'SELECT' },
  verdict: { api: 'SELECT', leader: 'SELECT, INSERT, DELETE', readonly: 'SELECT' },
  commit_verdicts: { api: 'SELECT', leader: 'SELECT, INSERT, DELETE', readonly: 'SELECT' },
  dead_input: { api: 'SELECT', leader: 'SELECT, INSERT', readonly: 'SELECT' },
  operator_key: { api: 'SELECT, INSERT', leader: 'SELECT, DELETE', readonly: '' },
  presence: { api: 'SELECT, INSERT, UPDATE', leader: 'SELECT', readonly: 'SELECT' },
  dispatch_offer: { api: 'SELECT, INSERT, UPDATE', leader: 'SELECT, DELETE', readonly: 'SELECT' },
  artifact: { api: 'SELECT', leader: 'SELECT, INSERT, UPDATE', readonly: 'SELECT' },
  snapshot: { api: '', leader: 'SELECT, INSERT, DELETE, UPDATE (folds_equal)', readonly: 'SELECT' },
  snapshot_part: { api: '', leader: 'SELECT, INSERT, DELETE', readonly: 'SELECT' },
  log_detached: { api: '', leader: 'SELECT, UPDATE (exported_to)', readonly: 'SELECT' },
  // Written by the trigger of artifact, as the owner.
  declared_host: SHOWN,
  schema_migration: SHOWN,
};

/** Functions that only one role calls; the trigger's needs no grant. */
export const LEADER_FUNCTIONS = [
  'fence(bigint)',
  'event_log_make_partitions(bigint)',
  'event_log_detach_lowest()',
  'event_log_partition_rows()',
];

const NAMES = ['owner', 'api', 'leader', 'readonly'] as const;
export type RoleNames = Readonly<Record<(typeof NAMES)[number], string>>;

/** Four roles and their underscore fit into the 63 bytes of a name. */
const PREFIX = /^[a-z_][a-z0-9_]{0,49}$/;

/** Throws for what cannot begin a role's name. */
export function roleNames(prefix: string): RoleNames {
  if (!PREFIX.test(prefix) || prefix.startsWith('pg_')) {
    throw new Error(
      `role prefix ${JSON.stringify(prefix)} is not usable: lower-case letters, digits and _, at most 50, not pg_…`,
    );
  }
  const [owner, api, leader, readonly] = NAMES.map((name) => `${prefix}_${name}`);
  if (!owner || !api || !leader || !readonly) throw new Error('a role has no name');
  return { owner, api, leader, readonly };
}

/** Whom the schema's tables belong to; null: there are none. */
export async function tableOwner(sql: Sql, schema: string): Promise<string | null> {
  const [row] = await sql<{ owner: string }[]>`
    SELECT tableowner AS owner FROM pg_tables
    WHERE schemaname = ${schema} AND tablename = 'event_log'`;
  return row?.owner ?? null;
}

/** The prefix that this schema's tables were given to, so that later migrations renew the grants; or null. */
export async function appliedPrefix(sql: Sql, schema: string): Promise<string | null> {
  const prefix = /^(.+)_owner$/.exec((await tableOwner(sql, schema)) ?? '')?.[1];
  if (prefix === undefined) return null;
  const missing = await missingRoles(sql, roleNames(prefix));
  return missing.length === 0 ? prefix : null;
}

async function missingRoles(sql: Sql, names: RoleNames): Promise<string[]> {
  const wanted = Object.values(names);
  const there = await sql<{ rolname: string }[]>`
    SELECT rolname FROM pg_roles WHERE rolname IN ${sql(wanted)}`;
  return wanted.filter((name) => there.every(({ rolname }) => rolname !== name));
}

/**
 * Makes the roles that are missing, hands the schema to the owner and grants what GRANTS says. Runs in the
 * caller's transaction, as a role that owns the schema. Rejects when roles are missing that it may not make,
 * and names the statements that an administrator has to run.
 */
export async function applyRoles(sql: Sql, schema: string, prefix: string): Promise<RoleNames> {
  const names = roleNames(prefix);
  await makeRoles(sql, names);
  await joinOwner(sql, names);
  for (const space of await schemasOf(sql, schema)) {
    await sql.unsafe(`GRANT USAGE, CREATE ON SCHEMA ${space} TO ${names.owner}`);
    await giveToOwner(sql, space, names.owner);
  }
  await sql.unsafe(grantTexts(schema, names, await tablesOf(sql, schema)).join(';\n'));
  await grantDetached(sql, schema, names);
  await sql.unsafe(viewGrants(await schemasOf(sql, schema), schema, names).join(';\n'));
  return names;
}

async function makeRoles(sql: Sql, names: RoleNames): Promise<void> {
  const missing = await missingRoles(sql, names);
  if (missing.length === 0) return;
  const [me] = await sql<{ able: boolean }[]>`
    SELECT rolsuper OR rolcreaterole AS able FROM pg_roles WHERE rolname = current_user`;
  if (me?.able !== true) {
    const statements = missing.map((name) => `CREATE ROLE ${name} NOLOGIN;`).join(' ');
    throw new Error(
      `this login may not create roles. Let an administrator run: ${statements} GRANT ${names.owner} TO <this login>; and try again`,
    );
  }
  for (const name of missing) {
    // Another installation's migration may make the same role at this moment.
    await sql.unsafe(`DO $$ BEGIN CREATE ROLE ${name} NOLOGIN;
      EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`);
  }
}

/** To give something away one must belong to whom one gives it. */
async function joinOwner(sql: Sql, { owner }: RoleNames): Promise<void> {
  const [me] = await sql<{ member: boolean }[]>`
    SELECT rolsuper OR pg_has_role(${owner}, 'USAGE') AS member FROM pg_roles
    WHERE rolname = current_user`;
  if (me?.member !== true) await sql.unsafe(`GRANT ${owner} TO CURRENT_USER`);
}

/** The installation's own schema and, once it is there, that of the views. */
async function schemasOf(sql: Sql, schema: string): Promise<string[]> {
  const rows = await sql<{ nspname: string }[]>`
    SELECT nspname FROM pg_namespace WHERE nspname IN (${schema}, ${`${schema}_v1`}) ORDER BY 1`;
  return rows.map((row) => row.nspname);
}

/** Partitions and detached ones aside: whoever may reach the log reaches them through it. */
async function tablesOf(sql: Sql, schema: string): Promise<string[]> {
  const rows = await sql<{ relname: string }[]>`
    SELECT relname FROM pg_class WHERE relnamespace = ${schema}::regnamespace
      AND relkind IN ('r', 'p', 'v') AND NOT relispartition AND relname NOT LIKE 'event\\_log\\_%'`;
  return rows.map((row) => row.relname);
}

async function giveToOwner(sql: Sql, schema: string, owner: string): Promise<void> {
  const found = await sql<{ text: string }[]>`
    SELECT CASE c.relkind WHEN 'v' THEN 'VIEW ' ELSE 'TABLE ' END || c.oid::regclass AS text
    FROM pg_class c WHERE c.relnamespace = ${schema}::regnamespace AND c.relkind IN ('r', 'p', 'v')
      AND pg_get_userbyid(c.relowner) <> ${owner}
    UNION ALL
    SELECT 'FUNCTION ' || p.oid::regprocedure FROM pg_proc p
    WHERE p.pronamespace = ${schema}::regnamespace AND pg_get_userbyid(p.proowner) <> ${owner}`;
  for (const { text } of found) await sql.unsafe(`ALTER ${text} OWNER TO ${owner}`);
}

function grantTexts(schema: string, names: RoleNames, tables: readonly string[]): string[] {
  const { api, leader, readonly } = names;
  const others = `${api}, ${leader}, ${readonly}`;
  const columns = tables.map((table) => `"${table}"`).join(', ');
  return [
    `REVOKE ALL ON SCHEMA ${schema} FROM PUBLIC, ${others}`,
    `GRANT USAGE ON SCHEMA ${schema} TO ${others}`,
    `REVOKE ALL ON ALL TABLES IN SCHEMA ${schema} FROM PUBLIC, ${others}`,
    // Column grants are no part of the above.
    `REVOKE UPDATE (lock_only) ON dispatch FROM ${others}`,
    `REVOKE UPDATE (last_used_at) ON operator_secret FROM ${others}`,
    `REVOKE UPDATE (exported_to) ON log_detached FROM ${others}`,
    `REVOKE UPDATE (folds_equal) ON snapshot FROM ${others}`,
    `REVOKE ALL ON ${columns} FROM PUBLIC, ${others}`,
    `REVOKE ALL ON ALL FUNCTIONS IN SCHEMA ${schema} FROM PUBLIC, ${others}`,
    ...Object.entries(GRANTS).flatMap(([table, reach]) => [
      ...granted(table, reach.api, api),
      ...granted(table, reach.leader, leader),
      ...granted(table, reach.readonly, readonly),
    ]),
    ...LEADER_FUNCTIONS.map((name) => `GRANT EXECUTE ON FUNCTION ${name} TO ${leader}`),
  ];
}

/** Whoever reads the log may read what left it, as when it was detached: else nobody could export it. */
async function grantDetached(sql: Sql, schema: string, names: RoleNames): Promise<void> {
  const rows = await sql<{ relname: string }[]>`
    SELECT relname FROM pg_class WHERE relnamespace = ${schema}::regnamespace AND relkind = 'r'
      AND relname LIKE 'event\\_log\\_detached\\_p%'`;
  for (const { relname } of rows)
    await sql.unsafe(
      `GRANT SELECT ON "${relname}" TO ${names.api}, ${names.leader}, ${names.readonly}`,
    );
}

function granted(table: string, rights: string, role: string): string[] {
  return rights === '' ? [] : [`GRANT ${rights} ON "${table}" TO ${role}`];
}

/** The schema of views is for everyone who reads. */
function viewGrants(schemas: readonly string[], schema: string, names: RoleNames): string[] {
  const { api, leader, readonly } = names;
  const readers = `${api}, ${leader}, ${readonly}`;
  return schemas
    .filter((space) => space !== schema)
    .flatMap((space) => [
      `REVOKE ALL ON SCHEMA ${space} FROM PUBLIC`,
      `GRANT USAGE ON SCHEMA ${space} TO ${readers}`,
      `REVOKE ALL ON ALL TABLES IN SCHEMA ${space} FROM PUBLIC, ${readers}`,
      `GRANT SELECT ON ALL TABLES IN SCHEMA ${space} TO ${readers}`,
      `REVOKE ALL ON ALL FUNCTIONS IN SCHEMA ${space} FROM PUBLIC`,
      `GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA ${space} TO ${readers}`,
    ]);
}
