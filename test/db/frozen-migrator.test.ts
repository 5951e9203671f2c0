/** A migrator that is stopped where it holds the locks of a migration: a laptop's lid, a paused machine. */
import { once } from 'node:events';
import net from 'node:net';
import postgres from 'postgres';
import { expect, it } from 'vitest';
import { migrate } from '../../src/db/migrate.ts';
import { packagedMigrations } from '../../src/db/migration-files.ts';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';

interface Freeze {
  readonly port: number;
  /** The clients hear that it is over. */
  cut(): void;
}

/** Forwards until `last` was said, and from then on nothing, as between kernels that go on answering each other. */
async function freezeAfter(to: URL, last: string): Promise<Freeze> {
  const clients: net.Socket[] = [];
  const server = net.createServer((inside) => {
    let isFrozen = false;
    const outside = net.connect(Number(to.port), to.hostname);
    clients.push(inside.on('error', () => outside.destroy()));
    inside.on('data', (said) => {
      if (!isFrozen) outside.write(said);
      isFrozen ||= said.includes(last);
    });
    outside.on('data', (said) => {
      if (!isFrozen) inside.write(said);
    });
    outside.on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as net.AddressInfo).port,
    cut: () => {
      for (const client of clients) client.destroy();
      server.close();
    },
  };
}

it('a frozen migrator holds a table for seconds only, and what it did is undone', async () => {
  const { url } = await createTestDatabase({ empty: true });
  const database = { url, schema: 'muster', name: 'frozen' };
  const newest = packagedMigrations().at(-1)?.name ?? '';
  await migrate(database, { migrations: packagedMigrations().slice(0, -1) });
  const freeze = await freezeAfter(new URL(url), `'${newest}'`);
  const through = Object.assign(new URL(url), { hostname: '127.0.0.1', port: freeze.port });
  const migrating = migrate({ ...database, url: through.href }).catch((error: unknown) => error);
  const sql = postgres(url, { max: 1, connection: { search_path: 'muster', lock_timeout: 500 } });
  const states = async (): Promise<unknown[]> => [
    ...(await sql`
      SELECT state FROM pg_stat_activity WHERE application_name = 'frozen:migrate'`),
  ];
  await eventually(states).toEqual([{ state: 'idle in transaction' }]);
  await expect(sql`LOCK TABLE input_queue IN ACCESS SHARE MODE`).rejects.toThrow();
  await eventually(states).toEqual([]);
  expect([...(await sql`SELECT FROM schema_migration WHERE name = ${newest}`)]).toEqual([]);
  freeze.cut();
  expect(await migrating).toBeInstanceOf(Error);
  expect((await migrate(database)).applied).toEqual([newest]);
  await sql.end();
});
