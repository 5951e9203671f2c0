/**
 * Each role that processes and people log in with, at every relation with every verb, and at everything else that it
 * must not do. Statements are tried, not looked up: what PostgreSQL answers is what an attacker would get. Each would
 * change nothing if it were allowed, or is undone.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { migrate } from '../../src/db/migrate.ts';
import { createPool, type Pool } from '../../src/db/pool.ts';
import { GRANTS } from '../../src/db/roles.ts';
import { schemaProblem, schemaStanding } from '../../src/db/standing.ts';
import { createRoleDatabase, type RoleDatabase } from '../support/roles.ts';

const SERVED = ['api', 'leader', 'readonly'] as const;
type Served = (typeof SERVED)[number];

let database: RoleDatabase;
const pools = new Map<string, Pool>();

function open(url: string): Pool {
  const own = { url, schema: 'muster', name: 'test' };
  return createPool(own, { role: 'test', max: 1, statementMs: 10_000 });
}

beforeAll(async () => {
  database = await createRoleDatabase();
  pools.set('admin', open(database.url));
  for (const role of [...SERVED, 'owner'] as const) pools.set(role, open(database.as(role)));
  await tell('admin', 'CREATE TABLE event_log_detached_p000099 (LIKE event_log)');
  await migrate({ url: database.url, schema: 'muster', name: 'test' }); // owned and granted as a real one
  await tell(
    'admin',
    `INSERT INTO event_log (seq, ts, epoch, kind, payload, hash)
     VALUES (1, now(), 1, 'leadership', '{"v":1}', sha256('x'))`,
  );
});
afterAll(async () => {
  for (const pool of pools.values()) await pool.end();
  await database.drop();
});

/** The error's text, or `done`. Whatever it did is undone. */
async function attempt(role: string, text: string): Promise<string> {
  const pool = pools.get(role);
  if (pool === undefined) throw new Error(`no pool of ${role}`);
  return pool.run(async (sql) => {
    try {
      await sql.unsafe(`BEGIN; ${text}; ROLLBACK`).simple();
      return 'done';
    } catch (error) {
      await sql.unsafe('ROLLBACK').simple();
      return error instanceof Error ? error.message : String(error);
    }
  });
}

/** Not undone. */
async function tell(role: string, text: string): Promise<void> {
  await pools.get(role)?.run((sql) => sql.unsafe(text).simple());
}

interface Relation {
  readonly space: string;
  readonly name: string;
  readonly columns: readonly string[];
}

async function relations(): Promise<readonly Relation[]> {
  const rows = await pools.get('admin')?.run(
    (sql) => sql<Relation[]>`
      SELECT n.nspname AS space, c.relname AS name, json_agg(a.attname ORDER BY a.attnum) AS columns
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      WHERE n.nspname IN ('muster', 'muster_v1') AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
      GROUP BY 1, 2 ORDER BY 1, 2`,
  );
  return rows ?? [];
}

/** What GRANTS says of a relation, in its words; views of the contract and detached tables are read by all. */
function wanted({ space, name }: Relation, role: Served): string {
  if (space === 'muster_v1' || name.startsWith('event_log_detached_p')) return 'SELECT';
  return GRANTS[name]?.[role] ?? '';
}

/** A view that nobody could write through says so before it asks who comes. */
const REFUSED =
  /denied|must be owner|cannot (insert into|delete from|update) (view|column)|is not a table/;

/** Tried on one relation: the verbs that are not denied, and the columns that UPDATE is allowed for. */
async function allowed(role: Served, { space, name, columns }: Relation): Promise<string> {
  const table = `${space}."${name}"`;
  const verbs = [
    ['SELECT', `SELECT FROM ${table} LIMIT 0`],
    ['INSERT', `INSERT INTO ${table} DEFAULT VALUES`],
    ['DELETE', `DELETE FROM ${table} WHERE false`],
    ['TRUNCATE', `TRUNCATE ${table}`],
    [
      'TRIGGER',
      `CREATE TRIGGER t AFTER INSERT ON ${table} EXECUTE FUNCTION suppress_redundant_updates_trigger()`,
    ],
    ['LOCK', `LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`],
  ] as const;
  const found: string[] = [];
  for (const [verb, text] of verbs) if (!REFUSED.test(await attempt(role, text))) found.push(verb);
  const updated: string[] = [];
  for (const column of columns) {
    const said = await attempt(role, `UPDATE ${table} SET "${column}" = DEFAULT WHERE false`);
    if (!REFUSED.test(said)) updated.push(column);
  }
  if (updated.length === columns.length) found.push('UPDATE');
  else if (updated.length > 0) found.push(`UPDATE (${updated.join()})`);
  // Whoever may change all rows may lock them all, and whoever may not must not.
  const may = found.includes('DELETE') || found.includes('UPDATE');
  return found
    .filter((verb) => verb !== 'LOCK' || !may)
    .sort()
    .join(', ');
}

describe.each(SERVED)('the role %s', (role) => {
  it('does with each relation what GRANTS says, by whatever verb', async () => {
    for (const relation of await relations()) {
      const expected = wanted(relation, role)
        .split(/, (?![^(]*\))/)
        .sort()
        .join(', ');
      expect([relation.name, await allowed(role, relation)]).toEqual([relation.name, expected]);
    }
  });

  it('calls no function but those that are its own', async () => {
    const rows = await pools.get(role)?.run(
      (sql) => sql<{ name: string; space: string; may: boolean; definer: boolean }[]>`
        SELECT p.proname AS name, n.nspname AS space, has_function_privilege(p.oid, 'EXECUTE') AS may,
          p.prosecdef AS definer
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname IN ('muster', 'muster_v1') ORDER BY 1`,
    );
    const own = (rows ?? []).filter(({ space }) => space === 'muster');
    expect(own.filter(({ may }) => may).map(({ name }) => name)).toEqual(
      role === 'leader'
        ? [
            'event_log_detach_lowest',
            'event_log_make_partitions',
            'event_log_partition_rows',
            'fence',
            'input_queue_rotate',
          ]
        : [],
    );
    const contract = (rows ?? []).filter(({ space }) => space === 'muster_v1');
    expect(contract.length).toBeGreaterThan(8);
    expect(contract.filter(({ may, definer }) => !may || definer)).toEqual([]);
  });

  it('does nothing else', async () => {
    await tell('owner', 'SELECT 1'); // a session that could be ended
    const owner = `${database.prefix}_owner`;
    const sequences = await pools.get('admin')?.run(
      (sql) => sql<{ name: string }[]>`
        SELECT relname AS name FROM pg_class WHERE relkind = 'S' AND relnamespace = 'muster'::regnamespace`,
    );
    expect(sequences?.length).toBeGreaterThan(0);
    for (const text of [
      ...(sequences ?? []).flatMap(({ name }) => [
        // Who stores inputs draws their ids.
        ...(role === 'api' && name === 'input_queue_ids'
          ? []
          : [`SELECT nextval('muster.${name}')`]),
        `SELECT setval('muster.${name}', 1)`,
        `ALTER SEQUENCE muster.${name} RESTART`,
      ]),
      ...FORBIDDEN,
      `SET ROLE ${owner}`,
      `SET SESSION AUTHORIZATION ${owner}`,
      `GRANT ${owner} TO CURRENT_USER`,
      `ALTER ROLE ${owner} LOGIN`,
      `ALTER DEFAULT PRIVILEGES FOR ROLE ${owner} GRANT ALL ON TABLES TO PUBLIC`,
      `REASSIGN OWNED BY ${owner} TO CURRENT_USER`,
      `DROP OWNED BY ${owner}`,
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE '${database.prefix}_owner%'`,
    ])
      expect([text, await attempt(role, text)]).toEqual([
        text,
        expect.stringMatching(
          /denied|must be (owner|superuser|member)|must have|Only roles|required/,
        ),
      ]);
  });
});

const LOG = ['event_log', 'event_log_p000000', 'event_log_detached_p000099'];

const FORBIDDEN = [
  ...LOG.flatMap((table) => [
    `ALTER TABLE ${table} OWNER TO CURRENT_USER`,
    `ALTER TABLE ${table} DISABLE TRIGGER ALL`,
    `ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY`,
    `ALTER TABLE ${table} SET SCHEMA public`,
    `ALTER TABLE ${table} RENAME TO elsewhere`,
    `ALTER TABLE ${table} ADD COLUMN x int`,
    `ALTER TABLE ${table} ALTER COLUMN payload TYPE jsonb`,
    `DROP TABLE ${table}`,
    `CREATE RULE r AS ON INSERT TO ${table} DO INSTEAD NOTHING`,
    `CREATE POLICY p ON ${table} USING (false)`,
    `CREATE INDEX ON ${table} (epoch)`,
    `COMMENT ON TABLE ${table} IS 'mine'`,
    `REINDEX TABLE ${table}`,
    `COPY ${table} TO PROGRAM 'cat'`,
  ]),
  'DROP TRIGGER event_log_no_change ON event_log',
  'DROP TRIGGER event_log_no_truncate ON event_log_p000000',
  'ALTER TABLE event_log DETACH PARTITION event_log_p000000',
  'ALTER TABLE event_log ATTACH PARTITION event_log_detached_p000099 FOR VALUES FROM (99000000) TO (100000000)',
  'SET session_replication_role = replica',
  'CREATE TABLE muster.mine (x int)',
  'CREATE TABLE muster_v1.mine (x int)',
  `CREATE FUNCTION muster.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'`,
  `CREATE FUNCTION muster_v1.describe(text) RETURNS text LANGUAGE sql AS 'SELECT 1'`,
  'CREATE SCHEMA mine',
  'DROP FUNCTION muster.fence(bigint)',
  'ALTER FUNCTION muster.event_log_detach_lowest() RESET search_path',
  'ALTER FUNCTION muster.event_log_append_only() OWNER TO CURRENT_USER',
  'DROP VIEW muster_v1.events',
  `CREATE OR REPLACE VIEW muster_v1.events AS SELECT 1 AS seq`,
  'DROP SCHEMA muster CASCADE',
  'ALTER SCHEMA muster_v1 RENAME TO muster_v2',
  'CREATE PUBLICATION mine FOR TABLE event_log',
  'CREATE EVENT TRIGGER mine ON ddl_command_start EXECUTE FUNCTION muster.event_log_append_only()',
  'ALTER DATABASE postgres SET session_replication_role = replica',
  'ALTER ROLE CURRENT_USER SET session_replication_role = replica',
  'ALTER ROLE CURRENT_USER CREATEROLE',
  `SELECT pg_read_file('PG_VERSION')`,
  `SELECT lo_import('/etc/hostname')`,
  `SELECT set_config('session_replication_role', 'replica', false)`,
  'SELECT pg_switch_wal()',
  `SELECT pg_create_physical_replication_slot('mine')`,
  `SELECT pg_create_logical_replication_slot('mine', 'pgoutput')`,
];

describe('the owner', () => {
  it('changes no row of the log either, by any verb', async () => {
    const seq = `(seq, ts, epoch, kind, payload, hash)
      VALUES (1, now(), 1, 'leadership', '{"v":1}', sha256('x'))`;
    for (const role of ['owner', 'admin']) {
      for (const table of LOG.slice(0, 2)) {
        for (const text of [
          `UPDATE ${table} SET epoch = 2`,
          `UPDATE ONLY event_log_p000000 SET actor = 'x'`,
          `DELETE FROM ${table} WHERE seq = 1`,
          `TRUNCATE ${table}`,
          `TRUNCATE ONLY event_log_p000000`,
          `INSERT INTO ${table} ${seq} ON CONFLICT (seq) DO UPDATE SET epoch = 2`,
          `MERGE INTO ${table} l USING (SELECT 1) s ON l.seq = 1 WHEN MATCHED THEN DELETE`,
          `MERGE INTO ${table} l USING (SELECT 1) s ON l.seq = 1 WHEN MATCHED THEN UPDATE SET epoch = 2`,
          `WITH gone AS (DELETE FROM ${table} RETURNING 1) SELECT * FROM gone`,
        ]) {
          for (const how of role === 'admin'
            ? ['', 'SET session_replication_role = replica; ']
            : [''])
            expect([role, text, await attempt(role, how + text)]).toEqual([
              ...[role, text],
              expect.stringContaining('append only'),
            ]);
        }
      }
    }
  });
});

it('a login that may not use the schema is told so, not that it was never migrated', async () => {
  await tell('admin', `REVOKE USAGE ON SCHEMA muster FROM ${database.prefix}_api`);
  const problem = await pools.get('api')?.run(schemaStanding).then(schemaProblem);
  await tell('admin', `GRANT USAGE ON SCHEMA muster TO ${database.prefix}_api`);
  expect(problem).toContain('may not use the schema: run "muster migrate --roles"');
  expect(await pools.get('api')?.run(schemaStanding).then(schemaProblem)).toBeNull();
});
