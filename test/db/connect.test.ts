/** What is said of a connection that does not come about: whom, and for how long it was waited. */
import { once } from 'node:events';
import net from 'node:net';
import path from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { askDatabase } from '../../src/cli/ask.ts';
import { databaseProblem } from '../../src/db/errors.ts';
import { placeOf } from '../../src/db/tls.ts';
import { makeScratchDir } from '../support/scratch.ts';

const servers: net.Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function port(onClient: (client: net.Socket) => void): Promise<number> {
  const server = net.createServer((client) => {
    client.on('error', () => undefined);
    onClient(client);
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as net.AddressInfo).port;
}

/** `S`: it speaks TLS, if one goes on. */
const agrees = (client: net.Socket): net.Socket => client.once('data', () => client.write('S'));

async function problem(at: number, query: string): Promise<string> {
  const url = `postgres://u:secret@127.0.0.1:${String(at)}/d${query}`;
  const database = { url, schema: 'muster', name: 'test' };
  return askDatabase(database, 'test', (sql) => sql`SELECT 1`).then(
    () => 'connected',
    (error: unknown) => databaseProblem(error),
  );
}

it('names host and port of a server that says nothing, before TLS and within', async () => {
  const silent = await port(() => undefined);
  const within = await port(agrees);
  const said = await Promise.all([
    problem(silent, ''),
    problem(silent, '?sslmode=verify-full'),
    problem(within, '?sslmode=require'),
    problem(within, '?sslmode=verify-full'),
  ]);
  const none = (at: number): string =>
    `no connection to 127.0.0.1:${String(at)} within 5 s: is the host of MUSTER_DATABASE_URL reachable from here?`;
  expect(said).toEqual([none(silent), none(silent), none(within), none(within)]);
});

it('says in our words that TLS did not come about', async () => {
  const ends = await port((client) => {
    agrees(client).once('data', () => client.once('data', () => client.end()));
  });
  expect(await problem(ends, '?sslmode=require')).toMatch(
    /^no connection: it ended before TLS was agreed on/,
  );
});

it.each([
  ['an IPv6 address', { host: '::1' }],
  ['a socket in the file system', { dir: makeScratchDir('socket') }],
])('finds the server at %s', async (_, { host, dir }: { host?: string; dir?: string }) => {
  const server = net.createServer((client) => {
    // As a server that is starting: code 57P03.
    const text = 'SFATAL\0C57P03\0Mstarting\0\0';
    const length = Buffer.alloc(4);
    length.writeInt32BE(text.length + 4);
    client
      .on('error', () => undefined)
      .end(Buffer.concat([Buffer.from('E'), length, Buffer.from(text)]));
  });
  servers.push(server);
  server.listen(dir === undefined ? { port: 0, host } : path.join(dir, '.s.PGSQL.5439'));
  await once(server, 'listening');
  const address = server.address();
  const at =
    typeof address === 'object' && address !== null
      ? `[::1]:${String(address.port)}`
      : `${encodeURIComponent(dir ?? '')}:5439`;
  const database = { url: `postgres://u@${at}/d`, schema: 'muster', name: 'test' };
  await expect(askDatabase(database, 'test', (sql) => sql`SELECT 1`)).rejects.toMatchObject({
    code: '57P03',
  });
});

it.each([
  ['postgres://u:p@db/m', 'db:5432'],
  ['postgres://u:p%40@db:6543/m?sslmode=require', 'db:6543'],
  ['postgres://u@[::1]:5433/m', '[::1]:5433'],
  ['postgres://u:p@%2Fvar%2Frun/m', null],
  ['postgres:///m', null],
])('calls %s %s', (url, place) => {
  expect(placeOf(url)).toBe(place);
});
