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
 * one transaction; it takes away what the table below does not name, so that a change of it comes with a migration, by
 * which older code knows that the grants are no longer its own (`whatToGrant`). A migrated table that is not named
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
  held_by_rows: SHOWN,
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
  'input_queue_rotate()',
];

/** Whoever stores inputs draws their ids. */
export const API_SEQUENCES = ['input_queue_ids'];

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

/** Of the four, those that the server has not got. */
export async function missingRoles(sql: Sql, names: RoleNames): Promise<string[]> {
  const wanted = Object.values(names);
  const there = await sql<{ rolname: string }[]>`
    SELECT rolname FROM pg_roles WHERE rolname IN ${sql(wanted)}`;
  return wanted.filter((name) => there.every(({ rolname }) => rolname !== name));
}
