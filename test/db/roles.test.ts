/** Logs in as each role and tries what it must not do; and runs a whole process with the roles apart. */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { databaseProblem } from '../../src/db/errors.ts';
import { migrate } from '../../src/db/migrate.ts';
import { packagedMigrations } from '../../src/db/migration-files.ts';
import { createPool, type Pool } from '../../src/db/pool.ts';
import { applyRoles } from '../../src/db/role-step.ts';
import { API_SEQUENCES, GRANTS, LEADER_FUNCTIONS, roleNames } from '../../src/db/roles.ts';
import { EDGE, startHttpServer, until } from '../support/http-server.ts';
import { createRoleDatabase, type RoleDatabase } from '../support/roles.ts';

const RECORD = fileURLToPath(new URL('../grants.json', import.meta.url));

type Role = Parameters<RoleDatabase['as']>[0];

let database: RoleDatabase;
const pools = new Map<Role | 'admin', Pool>();

const ROLES = ['owner', 'api', 'leader', 'readonly'] as const;
const SERVED = ['api', 'leader', 'readonly'] as const;

function open(url: string): Pool {
  return createPool(
    { url, schema: 'muster', name: 'test' },
    { role: 'test', max: 1, statementMs: 10_000 },
  );
}

beforeAll(async () => {
  database = await createRoleDatabase();
  pools.set('admin', open(database.url));
  for (const role of ROLES) pools.set(role, open(database.as(role)));
  const { readonly } = roleNames(database.prefix);
  expect(readonly).toBe(`${database.prefix}_readonly`);
  await attempt(
    'admin',
    `INSERT INTO event_log (seq, ts, epoch, kind, payload, hash)
      VALUES (1, now(), 1, 'leadership', '{"v":1}', sha256('x'))`,
  );
});
afterAll(async () => {
  for (const pool of pools.values()) await pool.end();
  await database.drop();
});

/** The error's text, or `done`. */
async function attempt(role: Role | 'admin', text: string): Promise<string> {
  const pool = pools.get(role);
  if (pool === undefined) throw new Error(`no pool of ${role}`);
  return pool
    .run((sql) => sql.unsafe(text))
    .then(
      () => 'done',
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
}

async function tables(): Promise<string[]> {
  const rows = await pools.get('admin')?.run(
    (sql) => sql<{ relname: string }[]>`
      SELECT relname FROM pg_class WHERE relnamespace = 'muster'::regnamespace
        AND relkind IN ('r', 'p', 'v') ORDER BY 1`,
  );
  return (rows ?? []).map(({ relname }) => relname);
}

describe('the grants', () => {
  it('name every table, and none that is not there', async () => {
    const there = (await tables()).filter((name) => !/^(event_log_p|input_queue_s)\d+$/.test(name));
    expect(Object.keys(GRANTS).sort()).toEqual(there);
  });

  it('are what each role may do with each table, and no more', async () => {
    const rights = ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'];
    for (const table of await tables()) {
      for (const role of SERVED) {
        const has = await pools.get(role)?.run(
          (sql) => sql<{ right: string }[]>`
            SELECT r AS right FROM unnest(string_to_array(${rights.join()}, ',')) AS r
            WHERE has_table_privilege(${table}, r)`,
        );
        const wanted = (GRANTS[table]?.[role] ?? '').replace(/, UPDATE \(\w+\)/, '');
        expect([table, role, (has ?? []).map((row) => row.right).join(', ')]).toEqual([
          table,
          role,
          wanted,
        ]);
      }
    }
  });

  it('belong to the owner, who alone changes tables', async () => {
    const rows = await pools.get('admin')?.run(
      (sql) => sql<{ name: string }[]>`
        SELECT DISTINCT pg_get_userbyid(relowner) AS name FROM pg_class
        WHERE relnamespace = 'muster'::regnamespace`,
    );
    expect(rows?.map(({ name }) => name)).toEqual([roleNames(database.prefix).owner]);
    for (const role of SERVED) {
      expect(await attempt(role, 'ALTER TABLE host ADD COLUMN x int')).toContain('must be owner');
      expect(await attempt(role, 'CREATE TABLE mine (x int)')).toContain('permission denied');
      expect(await attempt(role, 'DROP TABLE verdict')).toContain('must be owner');
      expect(await attempt(role, `SET ROLE ${database.prefix}_owner`)).toContain(
        'permission denied',
      );
    }
  });

  it('are renewed by a later migration without being asked for', async () => {
    await attempt('admin', `GRANT DELETE ON host TO ${database.prefix}_api`);
    await attempt('admin', 'CREATE TABLE event_log_detached_p000099 (x int)');
    const { roles } = await migrate({ url: database.url, schema: 'muster', name: 'test' });
    expect(roles?.api).toBe(`${database.prefix}_api`);
    expect(await attempt('api', 'DELETE FROM host')).toContain('permission denied');
    for (const role of SERVED)
      expect(await attempt(role, 'SELECT FROM event_log_detached_p000099')).toBe('done');
    await attempt('admin', 'DROP TABLE event_log_detached_p000099');
  });

  it('change with a migration only (UPDATE_GRANTS=1 rewrites the record)', () => {
    const newest = packagedMigrations().at(-1)?.name;
    const now = { newest, tables: GRANTS, functions: LEADER_FUNCTIONS, sequences: API_SEQUENCES };
    const record = JSON.parse(readFileSync(RECORD, 'utf8')) as typeof now;
    if (process.env['UPDATE_GRANTS'] === '1' && record.newest !== newest)
      writeFileSync(RECORD, `${JSON.stringify(now, null, 2)}\n`);
    // Older code knows by nothing else that the grants are not its own any more.
    else expect({ ...now, newest: record.newest }).toEqual(record);
  });

  it('are told, when a login may not make the roles', async () => {
    const asked = pools.get('owner')?.run((sql) => applyRoles(sql, 'muster', 'elsewhere'));
    await expect(asked).rejects.toThrow(
      /CREATE ROLE elsewhere_owner NOLOGIN;.* GRANT elsewhere_owner/,
    );
  });
});

describe('the log', () => {
  it('is changed by nobody, on the parent or on a partition', async () => {
    for (const table of ['event_log', 'event_log_p000000']) {
      for (const text of [
        `UPDATE ${table} SET epoch = 2`,
        `DELETE FROM ${table}`,
        `TRUNCATE ${table}`,
      ]) {
        for (const role of SERVED) expect(await attempt(role, text)).toContain('permission denied');
        expect(await attempt('owner', text)).toContain('append only');
        for (const role of ROLES) {
          const replica = `SET session_replication_role = replica; ${text}`;
          expect(await attempt(role, replica)).toContain('permission denied');
        }
        expect(await attempt('admin', `SET session_replication_role = replica; ${text}`)).toContain(
          'append only',
        );
      }
    }
  });

  it('is written by the leader alone, through the parent alone', async () => {
    const row = `(seq, ts, epoch, kind, payload, hash)
      VALUES (2, now(), 1, 'leadership', '{"v":1}', sha256('x'))`;
    for (const role of ['api', 'readonly'] as const) {
      expect(await attempt(role, `INSERT INTO event_log ${row}`)).toContain('permission denied');
    }
    expect(await attempt('leader', `INSERT INTO event_log_p000000 ${row}`)).toContain('denied');
    expect(await attempt('leader', `INSERT INTO event_log ${row}`)).toBe('done');
    expect(await attempt('leader', `ALTER TABLE event_log DISABLE TRIGGER ALL`)).toContain('owner');
    expect(
      await attempt('leader', `ALTER TABLE event_log DETACH PARTITION event_log_p000000`),
    ).toContain('owner');
    expect(await attempt('leader', 'SELECT event_log_make_partitions(2500000)')).toBe('done');
    expect(await attempt('leader', 'SELECT event_log_detach_lowest()')).toBe('done');
    for (const role of ['api', 'readonly'] as const) {
      expect(await attempt(role, 'SELECT event_log_make_partitions(9000000)')).toContain('denied');
      expect(await attempt(role, 'SELECT event_log_detach_lowest()')).toContain('denied');
      expect(await attempt(role, 'SELECT fence(1)')).toContain('denied');
    }
  });

  it('is served by functions that take odd arguments for what they are', async () => {
    const make = (through: string): Promise<string> =>
      attempt('leader', `SELECT muster.event_log_make_partitions(${through})`);
    const before = await tables();
    for (const harmless of ['NULL', '-5', '0', '-9223372036854775808'])
      expect([harmless, await make(harmless)]).toEqual([harmless, 'done']);
    for (const absurd of ['9223372036854775807', '2000000000'])
      expect(await make(absurd)).toContain('beyond the head');
    expect(await tables()).toEqual(before);
  });

  it('and its helpers are called by nobody else, not even from a trigger of their own', async () => {
    const own = `CREATE TEMP TABLE fake (kind text, content json, current boolean);
      CREATE TRIGGER t AFTER INSERT ON fake FOR EACH ROW EXECUTE FUNCTION muster.declare_hosts();
      INSERT INTO fake VALUES ('fleet', '{"hosts":[["x","y","z"]]}', true)`;
    for (const role of SERVED) {
      expect(await attempt(role, own)).toContain('permission denied for function');
      for (const text of [
        'ALTER TABLE event_log_p000000 DISABLE TRIGGER ALL',
        'ALTER TABLE event_log DISABLE TRIGGER event_log_no_change',
        'DROP TRIGGER event_log_no_truncate ON event_log_p000000',
        'ALTER TABLE event_log_p000000 RENAME TO elsewhere',
        'CREATE INDEX ON event_log (kind)',
        'ALTER TABLE event_log DETACH PARTITION event_log_p000000 CONCURRENTLY',
        'CREATE OR REPLACE FUNCTION muster.event_log_append_only() RETURNS trigger LANGUAGE sql AS $$$$',
        `COPY event_log TO PROGRAM 'cat'`,
      ])
        expect([role, text, await attempt(role, text)]).toEqual([
          ...[role, text],
          expect.stringMatching(/must be (owner|superuser)|permission denied/),
        ]);
    }
  });

  it('is not reached by objects of another schema put in front', async () => {
    const fake = `CREATE TEMP TABLE event_log (seq bigint); SET search_path = pg_temp, muster;
      SELECT muster.event_log_make_partitions(4500000)`;
    expect(await attempt('leader', fake)).toBe('done');
    expect(await tables()).toContain('event_log_p000004');
  });
});

describe('a login without superuser', () => {
  it('migrates and makes the roles, with CREATEROLE and CREATE on the database', async () => {
    const login = `${database.prefix}_admin`;
    const prefix = `${database.prefix}_two`;
    await attempt('admin', `CREATE ROLE ${login} LOGIN CREATEROLE PASSWORD 'secret'`);
    await attempt(
      'admin',
      `GRANT CREATE ON DATABASE ${new URL(database.url).pathname.slice(1)} TO ${login}`,
    );
    const url = new URL(database.url);
    url.username = login;
    url.password = 'secret';
    const own = { url: url.href, schema: 'other', name: 'test' };
    expect((await migrate(own, { rolePrefix: prefix })).roles?.owner).toBe(`${prefix}_owner`);
    expect((await migrate(own)).roles?.owner).toBe(`${prefix}_owner`);
    const [row] =
      (await pools.get('admin')?.run(
        (sql) => sql<{ owners: string }[]>`
          SELECT string_agg(DISTINCT tableowner, ' ') AS owners FROM pg_tables
          WHERE schemaname = 'other'`,
      )) ?? [];
    expect(row?.owners).toBe(`${prefix}_owner`);
    for (const name of [...Object.values(roleNames(prefix)), login]) {
      await attempt('admin', `DROP OWNED BY ${name} CASCADE`);
      expect(await attempt('admin', `DROP ROLE ${name}`)).toBe('done');
    }
  });
});

it('a login that may make no schema is told what it takes, and it does', async () => {
  const own = { url: database.as('owner'), schema: 'anew', name: 'test' };
  const refused = await migrate(own, { rolePrefix: database.prefix }).then(
    () => '',
    databaseProblem,
  );
  const [, statement = ''] = /run: (GRANT CREATE ON DATABASE .*)$/.exec(refused) ?? [];
  expect(await attempt('admin', statement)).toBe('done');
  expect((await migrate(own, { rolePrefix: database.prefix })).roles).not.toBeNull();
  expect(await attempt('admin', `DROP OWNED BY ${database.prefix}_owner_1 CASCADE`)).toBe('done');
});

describe('a process with its roles apart', () => {
  it('serves, leads and works', async () => {
    const server = await startHttpServer(database.as('api'), {
      MUSTER_LEADER_DATABASE_URL: database.as('leader'),
    });
    await until(
      async () => (await server.call('GET', '/v1/rollouts', { as: 'operator:ada' })).text(),
      (text) => text.includes(EDGE),
    );
    const agent = { as: 'agent:canary-01' };
    const beat = { hostname: 'canary-01', current_closure: 'x', at: new Date().toISOString() };
    const heard = await server.call('POST', '/v1/agent/heartbeat', { ...agent, body: beat });
    expect(heard.status).toBe(200);
    const dispatch = await server.call('GET', '/v1/agent/dispatch?wait=20', agent);
    expect(dispatch.status).toBe(200);
    const receivedAt = new Date().toISOString();
    const event = { kind: 'DispatchAck', currentClosureAtDispatch: 'x', receivedAt, seq: 1 };
    const ack = { hostname: 'canary-01', rolloutId: EDGE, event };
    const applied = await server.call('POST', '/v1/agent/events', { ...agent, body: ack });
    expect(applied.status).toBe(204);
    const log = await server.call('GET', '/v1/events?kind=leadership', { as: 'operator:ada' });
    expect(log.status).toBe(200);
    expect(await server.stop()).toEqual([]);
    expect(server.lines.filter((line) => line.includes('permission denied'))).toEqual([]);
  });

  it('is not ready while its login may not lead, and leads once it may', async () => {
    const server = await startHttpServer(database.as('api'), {
      MUSTER_ROLES: 'leader,workers',
      MUSTER_LEADER_DATABASE_URL: database.as('readonly'),
    });
    const ready = async (): Promise<string> => (await server.call('GET', '/readyz')).text();
    const said = await until(ready, (text) => text.includes('may not lead'));
    expect(said).toMatch(
      /MUSTER_LEADER_DATABASE_URL may not lead: it lacks .*docs\/database-roles/,
    );
    await attempt('admin', `GRANT ${database.prefix}_leader TO ${database.prefix}_readonly_1`);
    await until(ready, (text) => text.includes('"ready":true'));
    expect(await server.stop()).toEqual([]);
    await attempt('admin', `REVOKE ${database.prefix}_leader FROM ${database.prefix}_readonly_1`);
  });

  it('says which right was taken from it while it ran, and leads again once it is back', async () => {
    const server = await startHttpServer(database.as('api'), {
      MUSTER_LEADER_DATABASE_URL: database.as('leader'),
    });
    const ready = async (): Promise<string> => (await server.call('GET', '/readyz')).text();
    await until(ready, (text) => text.includes('"ready":true'));
    const rights = 'SELECT ON muster.operator_token';
    await attempt('admin', `REVOKE ${rights} FROM ${database.prefix}_leader`);
    await attempt(
      'admin',
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name LIKE '%:writer' AND datname = current_database()`,
    );
    const said = await until(ready, (text) => text.includes('may not lead'));
    expect(said).toContain('it lacks SELECT on operator_token');
    await attempt('admin', `GRANT ${rights} TO ${database.prefix}_leader`);
    await until(ready, (text) => text.includes('"ready":true'));
    expect(await server.stop()).toEqual([]);
    expect(server.lines.filter((line) => line.includes('25P02'))).toEqual([]);
  });
});

const GUIDE = readFileSync(new URL('../../docs/guides/hardening.md', import.meta.url), 'utf8');

it('is closed by the hardening guide to everybody but its own logins', async () => {
  const name = new URL(database.url).pathname.slice(1);
  const commands = [...GUIDE.matchAll(/-c '((?:GRANT|REVOKE) CONNECT [^']+)'/g)].map(
    ([, one = '']) =>
      one
        .replaceAll('muster_', `${database.prefix}_`)
        .replace('DATABASE muster', `DATABASE "${name}"`),
  );
  expect(commands).toHaveLength(2);
  for (const command of commands) expect(await attempt('admin', command)).toBe('done');
  const stranger = `${database.prefix}_stranger`;
  await attempt('admin', `CREATE ROLE ${stranger} LOGIN PASSWORD 'secret'`);
  const url = new URL(database.url);
  Object.assign(url, { username: stranger, password: 'secret' });
  const connect = async (at: string): Promise<string> => {
    const pool = open(at);
    const answer = await pool.run((sql) => sql`SELECT 1`).then(() => 'connected', databaseProblem);
    await pool.end();
    return answer;
  };
  const answers = await Promise.all([url.href, ...ROLES.map(database.as)].map(connect));
  await attempt('admin', `DROP ROLE ${stranger}`);
  expect(answers[0]).toMatch(/^42501: .* needs CONNECT on the database$/);
  expect(answers.slice(1)).toEqual(ROLES.map(() => 'connected'));
});
