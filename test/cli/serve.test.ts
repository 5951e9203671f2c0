/** `muster serve` that cannot serve ends, and says why: whoever supervises it must notice. */
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { developmentOrganisation } from '../../src/cli/dev/organisation.ts';
import { developmentTrust } from '../../src/cli/dev/release.ts';
import { freePort } from '../../src/cli/dev/free-port.ts';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { startNode } from '../support/processes.ts';
import { createRoleDatabase } from '../support/roles.ts';
import { forward } from '../support/late-port.ts';
import { makeScratchDir } from '../support/scratch.ts';
import { terminate } from '../support/serving.ts';
import { tlsClient } from '../support/tls-client.ts';

it('ends with exit code 1 when its port is taken', async () => {
  const { url } = await createTestDatabase();
  const taken = net.createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const address = taken.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const flags = ['serve', '--roles', 'api,leader', '--listen-port', String(address.port)];
  const child = startNode([path.resolve('dist/cli/muster.js'), ...flags], {
    env: { MUSTER_DATABASE_URL: url, MUSTER_STRICT: 'false' },
  });
  let said = '';
  child.stdout.on('data', (data: Buffer) => (said += data.toString()));
  const [code] = (await once(child, 'exit')) as [number | null];
  taken.close();
  expect(code).toBe(1);
  expect(said).toMatch(/EADDRINUSE.*cannot serve; mend what the reason names/);
}, 20_000);

it('is gone by its stop deadline, and says what kept it', async () => {
  const { url } = await createTestDatabase();
  const port = await freePort();
  const kept = 'data:text/javascript,import net from "node:net"; net.createServer().listen(0)';
  const flags = ['serve', '--roles', 'api', '--listen-port', String(port)];
  const soon = ['--drain-delay-seconds', '0', '--stop-deadline-seconds', '1'];
  const child = startNode(
    ['--import', kept, path.resolve('dist/cli/muster.js'), ...flags, ...soon],
    {
      env: { MUSTER_DATABASE_URL: url, MUSTER_STRICT: 'false' },
    },
  );
  let said = '';
  child.stdout.on('data', (data: Buffer) => (said += data.toString()));
  await eventually(() => said).toContain('"listening"');
  child.kill('SIGTERM');
  const [code] = (await once(child, 'close')) as [number | null];
  expect([code, said]).toEqual([
    1,
    expect.stringMatching(/"left":\[[^\]]*"TCPServerWrap".*still kept the process/),
  ]);
}, 20_000);

describe('strict mode', () => {
  /** Settings that are whole but for the source. */
  const settings = (source: string): Record<string, string> => ({
    MUSTER_DATABASE_URL: 'postgres://api@127.0.0.1:9/muster',
    MUSTER_TRUST_FILE: '/nowhere/trust.json',
    MUSTER_SOURCE: source,
  });

  async function start(env: Record<string, string>, ...flags: string[]) {
    const child = startNode([path.resolve('dist/cli/muster.js'), 'serve', ...flags], { env });
    const said = text(child.stderr);
    child.stdout.resume();
    const [code] = (await once(child, 'exit')) as [number | null];
    return { code, said: await said };
  }

  it('says of a source which lists it lacks, together with all else that is missing', async () => {
    const dir = makeScratchDir('source');
    const { code, said } = await start(settings(dir));
    expect(code).toBe(2);
    for (const missing of [
      /nobody could be revoked: \S+ has no revocations\.json/,
      /no host could enrol: \S+ has no bootstrap-nonces\.json/,
      /MUSTER_TLS_CERT_FILE/,
      /MUSTER_CLIENT_CA_FILE/,
      /MUSTER_LEADER_DATABASE_URL/,
      /MUSTER_STRICT=false/,
    ])
      expect(said).toMatch(missing);
  });

  it('wants a signature beside each, and no more of a worker that has them', async () => {
    const dir = makeScratchDir('source');
    const files = ['revocations.json', 'revocations.json.sig', 'bootstrap-nonces.json'];
    for (const name of files) writeFileSync(path.join(dir, name), '{}');
    const worker = ['--roles', 'workers'];
    const { said } = await start(settings(dir), ...worker);
    expect(said).toMatch(/has no bootstrap-nonces\.json with its \.sig/);
    expect(said).not.toMatch(/revocations/);
    expect(said).toMatch(/MUSTER_STRICT=false/);
    // A web server that is away is no list that is missing.
    const away = await start(settings('http://127.0.0.1:9/fleet'));
    expect(away.said).not.toMatch(/bootstrap-nonces/);
  });

  it('starts no API that could write the log, and no leader that could not', async () => {
    const dir = makeScratchDir('strict');
    const { trustFile } = developmentTrust(dir);
    const { settings, serverFile } = await developmentOrganisation(dir, trustFile, []);
    const strict = { 'trust-file': trustFile, 'ca-key-file-allowed': true, strict: true };
    const database = await createRoleDatabase();
    const startAs = (url: string, port: number, roles = 'api') => {
      const more = { 'drain-delay-seconds': 0, 'listen-port': port, 'database-url': url };
      const all = Object.entries({ ...settings, ...strict, ...more });
      const flags = all.flatMap(([name, value]) => [`--${name}`, String(value)]);
      return startNode(
        [path.resolve('dist/cli/muster.js'), 'serve', '--roles', roles, ...flags],
        {},
      );
    };
    const refused = startAs(database.as('leader'), await freePort());
    const said = text(refused.stdout);
    const [code] = (await once(refused, 'exit')) as [number | null];
    expect([code, await said]).toEqual([
      1,
      expect.stringMatching(/may write the event log.*cannot serve/),
    ]);
    // Of a database that comes later: it ends when that has told.
    const [later, listens] = [await freePort(), await freePort()];
    const url = new URL(database.as('leader'));
    const early = startAs(url.href.replace(`:${url.port}/`, `:${String(later)}/`), listens);
    const heard = text(early.stdout);
    const alive = tlsClient(listens, { ca: readFileSync(serverFile, 'utf8') });
    await eventually(() => alive.ask('/healthz').catch(() => null)).toMatchObject({ status: 200 });
    alive.close();
    const way = await forward(later, url);
    const [end] = (await once(early, 'exit')) as [number | null];
    expect([end, await heard]).toEqual([1, expect.stringMatching(/may write the event log/)]);
    way.close();
    // Nor a leader that could not lead: nobody would notice.
    const control = startAs(database.as('api'), await freePort(), 'leader');
    const leads = text(control.stdout);
    const [ended] = (await once(control, 'exit')) as [number | null];
    expect([ended, await leads]).toEqual([
      1,
      expect.stringMatching(/login of MUSTER_DATABASE_URL may not lead: it lacks .*cannot serve/),
    ]);
    const port = await freePort();
    const child = startAs(database.as('api'), port);
    const client = tlsClient(port, { ca: readFileSync(serverFile, 'utf8') });
    const ready = async (): Promise<string> => {
      const answer = await client.ask('/readyz').catch(() => null);
      return JSON.stringify([answer?.status, answer?.body]);
    };
    await eventually(ready).toMatch(/503.*(no manifest set|no signed list of revoked)/);
    client.close();
    await terminate(child);
    await database.drop();
  });
});
