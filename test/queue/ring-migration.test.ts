/** The queue becomes a ring under processes of the release before: what waits stays, ids go on, rights hold at once. */
import { randomBytes } from 'node:crypto';
import postgres from 'postgres';
import { expect, it } from 'vitest';
import { migrate } from '../../src/db/migrate.ts';
import { packagedMigrations } from '../../src/db/migration-files.ts';
import { stepText } from '../../src/db/migration-script.ts';
import { createPool } from '../../src/db/pool.ts';
import { roleNames } from '../../src/db/roles.ts';
import { createTestDatabase } from '../support/database.ts';

const RING = 23;

/** The roles as the release before left them, as far as the queue goes: later grants name what is not there yet. */
async function releaseBefore(url: string, prefix: string): Promise<void> {
  const migrations = packagedMigrations().filter(({ version }) => version < RING);
  await migrate({ url, schema: 'muster', name: 'test' }, { migrations });
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  for (const role of Object.values(roleNames(prefix))) {
    await sql.unsafe(`CREATE ROLE ${role} NOLOGIN;
      CREATE ROLE ${role}_1 LOGIN PASSWORD 'secret' IN ROLE ${role};
      GRANT USAGE, CREATE ON SCHEMA muster TO ${role}`);
  }
  const { owner, api, leader } = roleNames(prefix);
  await sql.unsafe(`ALTER TABLE muster.event_log OWNER TO ${owner};
    ALTER TABLE muster.input_queue OWNER TO ${owner};
    GRANT SELECT, INSERT ON muster.input_queue TO ${api};
    GRANT SELECT, DELETE ON muster.input_queue TO ${leader}`);
  await sql.end();
}

async function dropRoles(url: string, prefix: string): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  for (const role of Object.values(roleNames(prefix)))
    await sql.unsafe(`DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}_1; DROP ROLE ${role}`);
  await sql.end();
}

function loginOf(url: string, role: string): string {
  const own = new URL(url);
  own.username = `${role}_1`;
  own.password = 'secret';
  return own.href;
}

it('carries over what waits, repeats no id, and takes no right away meanwhile', async () => {
  const ring = packagedMigrations().find(({ version }) => version === RING);
  if (ring === undefined) throw new Error('no migration');
  const { url } = await createTestDatabase({ empty: true });
  const prefix = `t_${randomBytes(5).toString('hex')}`;
  await releaseBefore(url, prefix);
  const { api, leader } = roleNames(prefix);
  const open = (role: string) =>
    createPool(
      { url: loginOf(url, role), schema: 'muster', name: 'test' },
      { role: 'test', max: 1, statementMs: 10_000 },
    );
  const admin = postgres(url, { max: 1, connection: { search_path: 'muster' } });
  const pools = { api: open(api), leader: open(leader) };
  // As the release before stores and takes them, on connections that know their statements already.
  const store = () =>
    pools.api.run(
      (sql) => sql<
        { id: number }[]
      >`INSERT INTO input_queue (kind, hostname, payload, replica, together)
        VALUES ('Tick', 'h', '{"kind" : "Tick"}', 'r', true) RETURNING id`,
    );
  const claim = () =>
    pools.leader.run(
      (sql) =>
        sql`SELECT id, payload::text AS payload, together FROM input_queue ORDER BY id LIMIT 10`,
    );
  const remove = (ids: string) =>
    pools.leader.run((sql) => sql`DELETE FROM input_queue WHERE id = ANY(${ids}::bigint[])`);
  try {
    for (let i = 0; i < 3; i += 1) await store();
    const before = [...(await claim())];
    await remove('{1,3}');
    // The migration alone: grants are renewed in a transaction of their own, later.
    await admin.begin((sql) => sql.unsafe(stepText(ring, 'muster')));
    expect([...(await claim())]).toEqual(before.slice(1, 2));
    expect([...(await store())]).toEqual([{ id: 4 }]);
    expect((await remove('{2,4}')).count).toBe(2);
    const [row] = await admin<{ waiting: string }[]>`SELECT waiting FROM muster_v1.queue_health`;
    expect(row?.waiting).toBe('0');
    expect((await migrate({ url, schema: 'muster', name: 'test' })).roles?.api).toBe(api);
    expect([...(await store())]).toEqual([{ id: 5 }]);
    await pools.leader.run((sql) => sql`SELECT input_queue_rotate()`);
  } finally {
    await Promise.all([admin.end(), pools.api.end(), pools.leader.end()]);
    await dropRoles(url, prefix);
  }
});
