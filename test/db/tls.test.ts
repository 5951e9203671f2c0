/** Whom the driver believes to be the database: a real PostgreSQL with TLS, and certificates made here. */
import 'reflect-metadata';
import { chownSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import postgres from 'postgres';
import { ExtendedKeyUsage } from '@peculiar/x509';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  startEmbeddedPostgres,
  type EmbeddedPostgres,
} from '../../src/cli/dev/embedded-postgres.ts';
import { askDatabase } from '../../src/cli/ask.ts';
import { databaseProblem, isAway, isPassing } from '../../src/db/errors.ts';
import { createPool } from '../../src/db/pool.ts';
import { openSession } from '../../src/db/session.ts';
import { tlsTarget } from '../../src/db/tls.ts';
import { newAuthority, type Authority, type Pair, type Wanted } from '../support/certificates.ts';
import { until } from '../support/http-server.ts';
import { makeScratchDir } from '../support/scratch.ts';

let dir: string;
let server: EmbeddedPostgres;
let authority: Authority;

/** Puts a certificate in force; PostgreSQL takes a key only from its own user's files. */
async function present(pair: Pair): Promise<void> {
  const { uid, gid } = statSync(server.clusterDir);
  for (const [name, text] of [
    ['server.crt', pair.cert],
    ['server.key', pair.key],
  ] as const) {
    const file = path.join(server.clusterDir, name);
    writeFileSync(file, text, { mode: 0o600 });
    chownSync(file, uid, gid);
  }
  const sql = postgres(server.url, { max: 1, ssl: false });
  await sql`ALTER SYSTEM SET ssl = on`;
  await sql`SELECT pg_reload_conf()`;
  await sql.end();
  // The reload is the postmaster's: new connections show it.
  await until(
    () => tells('require'),
    (told) => told === true,
  );
}

function urlOf(host: string, query: string): string {
  const url = new URL(server.url);
  url.hostname = host;
  return `${url.href}?${query}`;
}

/** Whether a connection comes about, and is encrypted. */
async function tells(mode: string, host = 'localhost', more = ''): Promise<boolean | string> {
  const database = { url: urlOf(host, `sslmode=${mode}${more}`), schema: 'public', name: 'tls' };
  try {
    return await askDatabase(database, 'tls', async (sql) => {
      const [row] = await sql<{ ssl: boolean }[]>`
        SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()`;
      return row?.ssl === true;
    });
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}

const forServer = (wanted: Wanted): Wanted => ({
  usages: [ExtendedKeyUsage.serverAuth],
  ...wanted,
});

beforeAll(async () => {
  dir = makeScratchDir('tls');
  authority = await newAuthority('database');
  writeFileSync(path.join(dir, 'ca.pem'), authority.cert);
  writeFileSync(path.join(dir, 'other.pem'), (await newAuthority('other')).cert);
  server = await startEmbeddedPostgres({ dataDir: path.join(dir, 'pg'), ephemeral: true });
  await present(
    await authority.issue(forServer({ cn: 'db', dns: ['localhost'], ip: ['127.0.0.1'] })),
  );
}, 120_000);
afterAll(() => server.stop());

const root = (name = 'ca.pem') => `&sslrootcert=${path.join(dir, name)}`;

describe('sslmode=verify-full', () => {
  it('believes a server whose certificate names it, by name or address', async () => {
    expect(await tells('verify-full', 'localhost', root())).toBe(true);
    expect(await tells('verify-full', '127.0.0.1', root())).toBe(true);
    expect(await tells('verify-ca', 'localhost', root())).toBe(true);
  });

  it('of a session tells how much was handed to it', async () => {
    const url = urlOf('localhost', `sslmode=verify-full${root()}`);
    const session = await openSession(
      { url, schema: 'public', name: 'tls' },
      { role: 'tls', settings: {}, deadlineMs: 5_000 },
    );
    const before = session.sentBytes;
    await session.run((sql) => sql`SELECT length(${'x'.repeat(1_000_000)})`);
    expect(session.sentBytes - before).toBeGreaterThan(1_000_000);
    await session.end();
  });

  it('believes nobody that another authority, or none that is known, vouches for', async () => {
    expect(await tells('verify-full', 'localhost', root('other.pem'))).not.toBe(true);
    expect(await tells('verify-full', 'localhost')).not.toBe(true);
    expect(await tells('verify-full', 'localhost', '&sslrootcert=system')).not.toBe(true);
    // Encrypted, and to whom nobody knows: why strict mode does not take it.
    expect(await tells('require', 'localhost')).toBe(true);
  });

  it('says what of the URL does not fit the certificate, and that no time mends it', async () => {
    const told = (query: string): Promise<unknown> =>
      askDatabase({ url: urlOf('localhost', query), schema: 'public', name: 'tls' }, 'tls', () =>
        Promise.reject(new Error('let in')),
      ).catch((error: unknown) => error);
    const stranger = await told(`sslmode=verify-full${root('other.pem')}`);
    expect(databaseProblem(stranger)).toMatch(/no authority in sslrootcert .* name the file/);
    expect([isAway(stranger), isPassing(stranger)]).toEqual([false, true]);
    await present(await authority.issue(forServer({ cn: 'db', dns: ['db.example'] })));
    await expect.poll(() => tells('verify-full', 'localhost', root())).not.toBe(true);
    const misnamed = await told(`sslmode=verify-full${root()}`);
    expect(databaseProblem(misnamed)).toMatch(/certificate names another host/);
    expect([isAway(misnamed), isPassing(misnamed)]).toEqual([false, true]);
  });

  it('believes nobody under another name', async () => {
    await present(await authority.issue(forServer({ cn: 'db', dns: ['db.example'] })));
    await expect.poll(() => tells('verify-full', 'localhost', root())).not.toBe(true);
    expect(await tells('verify-full', '127.0.0.1', root())).not.toBe(true);
    // A name is no address: what is made out for localhost is not for 127.0.0.1.
    await present(await authority.issue(forServer({ cn: 'db', dns: ['localhost'] })));
    await expect.poll(() => tells('verify-full', 'localhost', root())).toBe(true);
    expect(await tells('verify-full', '127.0.0.1', root())).not.toBe(true);
  });

  it('goes on after a rotation of the authority that its file names beside the old one', async () => {
    const ca = path.join(dir, 'rotated.pem');
    writeFileSync(ca, authority.cert);
    const next = await newAuthority('database, next');
    const url = urlOf('localhost', `sslmode=verify-full&sslrootcert=${ca}`);
    const database = { url, schema: 'public', name: 'tls' };
    const pool = createPool(database, { role: 'tls', max: 1, statementMs: 5_000 });
    const pidOf = async () => {
      const [row] = await pool.run((sql) => sql`SELECT pg_backend_pid() AS pid`);
      return Number(row?.['pid']);
    };
    const first = await pidOf();
    writeFileSync(ca, authority.cert + next.cert);
    await present(await next.issue(forServer({ cn: 'db', dns: ['localhost'] })));
    await expect.poll(() => tells('verify-full', 'localhost', root())).not.toBe(true);
    const admin = postgres(server.url, { max: 1, ssl: 'require' });
    await admin`SELECT pg_terminate_backend(${first})`;
    await admin.end();
    await expect.poll(() => pidOf().catch(() => first)).not.toBe(first);
    await pool.end();
    await present(await authority.issue(forServer({ cn: 'db', dns: ['localhost'] })));
    await expect.poll(() => tells('verify-full', 'localhost', root())).toBe(true);
  });

  it('does not go on in the clear where there is no TLS', async () => {
    const sql = postgres(server.url, { max: 1, ssl: false });
    await sql`ALTER SYSTEM SET ssl = off`;
    await sql`SELECT pg_reload_conf()`;
    await expect.poll(() => tells('require'), { timeout: 20_000 }).not.toBe(true);
    expect(await tells('verify-full', 'localhost', root())).not.toBe(true);
    await sql.end();
  });

  it('takes an authority that joins sslrootcert while it runs, and does with the last while it cannot', () => {
    const ca = path.join(dir, 'changing.pem');
    const url = `postgres://a@db/m?sslmode=verify-full&sslrootcert=${ca}`;
    writeFileSync(ca, readFileSync(path.join(dir, 'other.pem')));
    const { ssl } = tlsTarget(url);
    /** As the driver does for each connection. */
    const asked = () => Object.assign({}, ssl).ca;
    writeFileSync(ca, authority.cert);
    expect(asked()).toBe(authority.cert);
    for (const broken of ['', authority.cert.slice(0, -60)]) {
      writeFileSync(ca, broken);
      expect(asked()).toBe(authority.cert);
    }
    rmSync(ca);
    expect(asked()).toBe(authority.cert);
  });

  it('says which file it cannot read', () => {
    const url = 'postgres://a@db/m?sslmode=verify-full&sslrootcert=/nowhere.pem';
    expect(() => tlsTarget(url)).toThrow('/nowhere.pem');
    const empty = path.join(dir, 'empty.pem');
    writeFileSync(empty, '');
    expect(() => tlsTarget(url.replace('/nowhere.pem', empty))).toThrow(empty);
  });
});

describe('other modes', () => {
  it('stay what they are', () => {
    const url = 'postgres://a@db/m?sslmode=require&application_name=x';
    expect(tlsTarget(url)).toEqual({ url, ssl: null });
    expect(tlsTarget('postgres://a@db/m')).toEqual({ url: 'postgres://a@db/m', ssl: null });
  });
});
