/** What the doctor finds at servers that are really so: poolers, a standby, poor rights, writes that are not durable. */
import { once } from 'node:events';
import net from 'node:net';
import path from 'node:path';
import { afterEach, expect, it } from 'vitest';
import postgres from 'postgres';
import { diagnose, doctor } from '../../src/cli/doctor.ts';
import { readFacts } from '../../src/db/doctor.ts';
import { openSession } from '../../src/db/session.ts';
import { BenchDatabase } from '../faults/suite/bench/database.ts';
import { Standby } from '../faults/suite/bench/standby.ts';
import { Framer } from '../faults/suite/wire/messages.ts';
import { createTestDatabase } from '../support/database.ts';
import { makeScratchDir } from '../support/scratch.ts';
import { run } from './support.ts';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

async function listen(onClient: (client: net.Socket) => void): Promise<number> {
  const server = net.createServer((client) => {
    client.on('error', () => undefined);
    onClient(client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  undo.push(() => server.close());
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

function at(url: string, port: number): string {
  const other = new URL(url);
  other.hostname = '127.0.0.1';
  other.port = String(port);
  return other.href;
}

const examine = (url: string) => run(doctor, '--database-url', url, '--schema', 'muster');

it('a pooler: it greets with another backend than the one that answers', async () => {
  const { url } = await createTestDatabase();
  const real = new URL(url);
  const port = await listen((client) => {
    const server = net.connect(Number(real.port), real.hostname);
    const fromServer = new Framer(false);
    client.pipe(server);
    server.on('error', () => undefined);
    server.on('close', () => client.destroy());
    server.on('data', (chunk: Buffer) => {
      for (const { type, bytes } of fromServer.push(chunk)) {
        if (type === 'K') bytes.writeInt32BE(4_711, 5); // BackendKeyData: its pid
        client.write(bytes);
      }
    });
    client.on('close', () => server.destroy());
  });
  const outcome = await examine(at(url, port));
  expect(outcome.code).toBe(1);
  expect(outcome.stdout).toMatch(/wrong: pooler: .*give the URL of PostgreSQL itself/);
});

it('a pooler that refuses the settings of a connection, as PgBouncer does unless told otherwise', async () => {
  const fields = ['SFATAL', 'C08P01', 'Munsupported startup parameter: search_path', ''];
  const body = Buffer.from(fields.join('\0') + '\0');
  const head = Buffer.from('E\0\0\0\0');
  head.writeInt32BE(body.length + 4, 1);
  const port = await listen((client) => {
    client.once('data', () => client.end(Buffer.concat([head, body])));
  });
  const outcome = await examine(`postgres://x@127.0.0.1:${String(port)}/x`);
  expect(outcome.code).toBe(2);
  expect(outcome.stderr).toMatch(/08P01.*pooler.*give the URL of PostgreSQL itself/);
});

it('a standby', async () => {
  const dir = makeScratchDir('doctor-standby');
  const primary = await BenchDatabase.start(path.join(dir, 'primary'));
  undo.push(() => primary.close());
  await primary.migrate();
  const standby = await Standby.start(primary, path.join(dir, 'standby'), false);
  undo.push(() => standby.close());
  const outcome = await examine(standby.server.url);
  expect(outcome.code).toBe(1);
  expect(outcome.stdout).toMatch(/wrong: standby: .*give the URL of the primary/);
});

it('a role without rights, and commits that are not waited for', async () => {
  const { url, name } = await createTestDatabase();
  const role = `${name}_poor`;
  const sql = postgres(url, { max: 1 });
  undo.push(async () => {
    await sql.unsafe(`DROP OWNED BY ${role}`);
    await sql.unsafe(`DROP ROLE ${role}`);
    await sql.end();
  });
  await sql.unsafe(`CREATE ROLE ${role} LOGIN PASSWORD 'poor'`);
  await sql.unsafe(`GRANT USAGE ON SCHEMA muster TO ${role}`);
  await sql.unsafe(`GRANT SELECT ON muster.schema_migration TO ${role}`);
  await sql.unsafe(`ALTER DATABASE ${name} SET synchronous_commit = off`);
  const poor = new URL(url);
  poor.username = role;
  poor.password = 'poor';
  const { code, stdout } = await examine(poor.href);
  expect(code).toBe(1);
  expect(stdout).toMatch(/wrong: rights: .*muster migrate --roles/);
  expect(stdout).toMatch(/warning: leader-rights: /);
  expect(stdout).toMatch(/warning: stats: /);
  expect(stdout).toMatch(/wrong: synchronous-commit: .*set it to on/);
});

it('a clock that is off, and a transaction that stays open', async () => {
  const { url } = await createTestDatabase();
  const forgetful = postgres(url, { max: 1 });
  undo.push(() => forgetful.end({ timeout: 1 }));
  await forgetful.unsafe('BEGIN ISOLATION LEVEL REPEATABLE READ');
  await forgetful`SELECT txid_current()`;
  const database = { url, schema: 'muster', name: 'test' };
  const session = await openSession(database, { role: 'doctor', settings: {}, deadlineMs: 10_000 });
  undo.push(() => session.end());
  const facts = await session.run((sql) => readFacts(sql, () => Date.now() - 60_000));
  expect(diagnose(facts)).toContainEqual(
    expect.objectContaining({ level: 'wrong', check: 'clock' }),
  );
  expect(facts.horizon.transactions).toBeGreaterThan(0);
  expect(facts.horizon.seconds).toBeGreaterThan(0);
});
