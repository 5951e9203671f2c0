/** Identity by client certificates, over real TLS connections to one replica. */
import 'reflect-metadata';
import { execFile } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { connect as connectTcp } from 'node:net';
import path from 'node:path';
import { connect as connectTls } from 'node:tls';
import { promisify } from 'node:util';
import { ExtendedKeyUsage } from '@peculiar/x509';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newAuthority, writePair, type Pair, type Wanted } from '../support/certificates.ts';
import { createTestDatabase } from '../support/database.ts';
import { makeScratchDir } from '../support/scratch.ts';
import type { Answer } from '../support/tls-client.ts';
import { makePki, startTlsReplica, SUFFIX, type Pki, type TlsReplica } from './support/tls.ts';

const POLL = '/v1/agent/dispatch?wait=0';
const beat = (hostname: string) =>
  ({ method: 'POST', body: { hostname, at: '2026-05-16T01:00:00Z' } }) as const;

let url: string;
let pki: Pki;
let replica: TlsReplica;

beforeAll(async () => {
  ({ url } = await createTestDatabase());
  pki = await makePki();
  replica = await startTlsReplica(url, pki);
});
afterAll(() => replica.stop());

async function askAs(pair: Pair | null, path: string): Promise<Answer> {
  const client = replica.client(pair);
  try {
    return await client.ask(path);
  } finally {
    client.close();
  }
}

describe('an agent', () => {
  it('is the host of its certificate, less the suffix', async () => {
    const web = replica.client(await pki.agent('web-01'));
    expect(await web.ask(POLL)).toMatchObject({ status: 204 });
    expect(await web.ask('/v1/agent/heartbeat', beat('web-01'))).toMatchObject({ status: 200 });
    expect(await web.ask('/v1/agent/heartbeat', beat('web-02'))).toMatchObject({
      ...{ status: 403, code: 'wrong-host', reused: true },
    });
  });

  it('and everyone else is told to come by TLS for a year, with an answer and with a refusal', async () => {
    const served = await askAs(await pki.agent('web-01'), POLL);
    const nobody = await askAs(null, POLL);
    expect([served.status, nobody.status]).toEqual([204, 401]);
    for (const { headers } of [served, nobody, await askAs(null, '/healthz')])
      expect(headers['strict-transport-security']).toBe('max-age=31536000');
  });

  it('is named by its common name where it has no dNSName', async () => {
    const pair = await pki.fleet.issue({ cn: `db-01${SUFFIX}` });
    const db = replica.client(pair);
    expect(await db.ask('/v1/agent/heartbeat', beat('db-01'))).toMatchObject({ status: 200 });
  });

  it('is no operator, whatever its certificate says', async () => {
    const pair = await pki.fleet.issue({ cn: `web-01${SUFFIX}`, ou: ['admin'] });
    expect(await askAs(pair, '/v1/whoami')).toMatchObject({ status: 403, code: 'wrong-identity' });
  });

  const names: readonly (readonly [string, Wanted])[] = [
    ['no suffix', { cn: 'web-01' }],
    ['nothing but the suffix', { cn: SUFFIX }],
    ['no name', { ou: ['web-01'] }],
    ['a NUL in it', { cn: `web-01\u0000.evil${SUFFIX}` }],
    ['a NUL in its dNSName', { dns: [`web-01\u0000${SUFFIX}`] }],
    ['a wildcard', { dns: [`*${SUFFIX}`] }],
    ['a trailing dot', { cn: `web-01${SUFFIX}.` }],
    ['two dNSNames', { dns: [`web-01${SUFFIX}`, `web-02${SUFFIX}`] }],
    ['two common names', { cn: [`web-01${SUFFIX}`, `web-02${SUFFIX}`] }],
    ['a dNSName and another common name', { cn: `web-02${SUFFIX}`, dns: [`web-01${SUFFIX}`] }],
    ['a comma and a second name in one', { dns: [`web-01, DNS:web-02${SUFFIX}`] }],
    ['a line break', { cn: `web-01\nCN=web-02${SUFFIX}` }],
    ['another case of the suffix', { cn: `web-01${SUFFIX.toUpperCase()}` }],
  ];
  it.each(names)('is nobody with %s', async (_, wanted) => {
    const answer = await askAs(await pki.fleet.issue(wanted), POLL);
    expect(answer).toMatchObject({ status: 401, code: 'unauthenticated' });
    expect(answer.headers['connection']).toBe('close');
  });

  it('of another case is another host', async () => {
    const upper = replica.client(await pki.agent('WEB-01'));
    const answer = await upper.ask('/v1/agent/heartbeat', beat('web-01'));
    expect(answer).toMatchObject({ status: 403, code: 'wrong-host' });
  });
});

describe('a certificate that does not hold', () => {
  const yesterday = new Date(Date.now() - 86_400_000);
  const tomorrow = new Date(Date.now() + 86_400_000);
  const bad: readonly (readonly [string, Wanted])[] = [
    ['expired', { notBefore: new Date(0), notAfter: yesterday }],
    ['not valid before', { notBefore: tomorrow, notAfter: new Date(Date.now() + 2 * 86_400_000) }],
    ['lacks clientAuth', { usages: [ExtendedKeyUsage.serverAuth] }],
    ['is a certificate authority', { ca: true, usages: [ExtendedKeyUsage.clientAuth] }],
  ];
  it.each(bad)('is refused: %s', async (why, wanted) => {
    const answer = await askAs(await pki.fleet.issue({ cn: `web-01${SUFFIX}`, ...wanted }), POLL);
    expect(answer).toMatchObject({ status: 401, code: 'unauthenticated' });
    expect(answer.detail).toContain(why);
  });

  it('is refused of an authority that nobody named, of the same name too, and of one below', async () => {
    const impostor = await newAuthority('fleet');
    const wanted = { cn: `web-01${SUFFIX}` };
    expect(await askAs(await impostor.issue(wanted), POLL)).toMatchObject({ status: 401 });
    expect(await askAs(await pki.servers.issue(wanted), POLL)).toMatchObject({ status: 401 });
    const below = await pki.fleet.issueAuthority('below');
    const leaf = await below.issue(wanted);
    const chained = { ...leaf, cert: `${leaf.cert}${below.cert}` };
    expect(await askAs(chained, POLL)).toMatchObject({ status: 401 });
  });

  it('is refused where the caller would be served under a weaker proof', async () => {
    const client = replica.client(await pki.servers.issue({ cn: `web-01${SUFFIX}` }));
    const headers = { 'x-muster-dev-identity': 'agent:web-01' };
    expect(await client.ask(POLL, { headers })).toMatchObject({ status: 401 });
  });

  it('is counted by why and told so, with who is nobody', async () => {
    const counted = async (reason: string): Promise<number> => {
      const { body } = await askAs(null, '/metrics');
      const line = new RegExp(`refused_identities_total\\{reason="${reason}"\\} (\\d+)`);
      return Number(line.exec(String(body))?.[1] ?? 0);
    };
    const [certificate, expired, nobody, wrong] = await Promise.all(
      ['certificate', 'expired', 'unauthenticated', 'wrong-identity'].map(counted),
    );
    const old = { notBefore: new Date(0), notAfter: yesterday };
    const refused = [
      await askAs(await pki.servers.issue({ cn: `web-01${SUFFIX}` }), POLL),
      await askAs(await pki.fleet.issue({ cn: `web-01${SUFFIX}`, ...old }), POLL),
      await askAs(null, POLL),
      await askAs(await pki.agent('web-01'), '/v1/whoami'),
    ];
    const proofs = refused.map(({ body }) => (body as { proof?: string }).proof);
    expect(proofs).toEqual(['certificate', 'expired', undefined, undefined]);
    expect([
      await counted('certificate'),
      await counted('expired'),
      await counted('unauthenticated'),
      await counted('wrong-identity'),
    ]).toEqual([certificate, expired, nobody, wrong].map((before = 0) => before + 1));
  });

  it('does not matter where everyone is served', async () => {
    const pair = await pki.servers.issue({ cn: 'web-01' });
    expect(await askAs(pair, '/healthz')).toMatchObject({ status: 200 });
  });
});

describe('an operator', () => {
  it.each([
    [undefined, 'viewer'],
    ['Platform Team', 'viewer'],
    ['operator', 'operator'],
    ['admin', 'admin'],
  ])('with the unit %s has the role %s', async (unit, role) => {
    const answer = await askAs(await pki.operator('ada@example.net', unit), '/v1/whoami');
    expect(answer.body).toMatchObject({ cn: 'ada@example.net', role, via: 'certificate' });
  });

  it('is no agent, whatever the certificate says', async () => {
    const pair = await pki.operators.issue({ cn: 'web-01', dns: [`web-01${SUFFIX}`] });
    expect(await askAs(pair, POLL)).toMatchObject({ status: 403, code: 'wrong-identity' });
  });

  it.each<Wanted>([
    { cn: 'ada\u0000root' },
    { cn: ['ada', 'bob'] },
    { cn: 'ada', ou: ['viewer', 'admin'] },
    {},
  ])('is nobody with %j', async (wanted) => {
    expect(await askAs(await pki.operators.issue(wanted), '/v1/whoami')).toMatchObject({
      status: 401,
    });
  });
});

describe('the listener', () => {
  it('takes clients without a certificate, for what anyone may ask', async () => {
    const nobody = replica.client(null);
    for (const path of ['/healthz', '/readyz', '/metrics'])
      expect(await nobody.ask(path)).toMatchObject({ status: 200 });
    expect(await nobody.ask(POLL)).toMatchObject({ status: 401, code: 'unauthenticated' });
  });

  it('speaks TLS 1.3 and nothing older, unless it is told to', async () => {
    const old = { maxVersion: 'TLSv1.2' } as const;
    await expect(replica.client(null, old).ask('/healthz')).rejects.toThrow(/protocol version/);
    const lenient = await startTlsReplica(url, pki, {}, { minVersion: 'TLSv1.2' });
    const web = lenient.client(await pki.agent('web-01'), old);
    expect(await web.ask(POLL)).toMatchObject({ status: 204 });
    await lenient.stop();
  });

  it('closes a connection that has reached its age, and one without a proof that holds', async () => {
    const brief = await startTlsReplica(url, pki, { connectionMaxMs: 0 });
    const web = brief.client(await pki.agent('web-01'));
    expect((await web.ask(POLL)).headers['connection']).toBe('close');
    const again = await web.ask(POLL);
    expect(again).toMatchObject({ status: 204, reused: false, resumed: true });
    await brief.stop();
  });

  it('stops though some have connected and said nothing', async () => {
    const other = await startTlsReplica(url, pki);
    const tcp = connectTcp(other.port, '127.0.0.1');
    const tls = connectTls({ port: other.port, host: '127.0.0.1', ca: pki.servers.cert });
    await Promise.all([once(tcp, 'connect'), once(tls, 'secureConnect')]);
    const closed = Promise.all([once(tcp, 'close'), once(tls, 'close')]);
    await other.stop();
    await closed;
  });
});

describe('files that change', () => {
  it('are in use from the next look on, for open connections too', async () => {
    const own = await makePki();
    const other = await startTlsReplica(url, own);
    const web = other.client(await own.agent('web-01'));
    expect(await web.ask(POLL)).toMatchObject({ status: 204 });
    const next = await newAuthority('fleet');
    writeFileSync(own.files.fleetCa, next.cert);
    const renewed = await own.servers.issue({
      cn: 'muster',
      dns: ['renewed'],
      ip: ['127.0.0.1'],
      usages: [ExtendedKeyUsage.serverAuth],
    });
    const dir = own.files.cert.replace('/server.crt', '');
    writePair(dir, 'server', renewed);
    await other.material.look();
    const refused = await web.ask(POLL);
    expect(refused).toMatchObject({ status: 401, reused: true });
    expect(refused.detail).toContain('no authority that is configured here');
    const agent = other.client(await next.issue({ cn: `web-01${SUFFIX}` }));
    expect(await agent.ask(POLL)).toMatchObject({ status: 204 });
    const strict = other.client(null, { servername: 'renewed' });
    expect(await strict.ask('/healthz')).toMatchObject({ status: 200 });
    await other.stop();
  });

  it('stay as they were when what replaced them cannot be used, which is said once', async () => {
    const own = await makePki();
    const other = await startTlsReplica(url, own);
    const web = other.client(await own.agent('web-01'));
    for (const broken of ['', 'nonsense', own.operators.cert]) {
      writeFileSync(own.files.fleetCa, broken);
      await other.material.look();
      await other.material.look();
      expect(await web.ask(POLL)).toMatchObject({ status: 204 });
    }
    writeFileSync(own.files.fleetCa, own.fleet.cert);
    writeFileSync(own.files.key, (await own.server()).key);
    await other.material.look();
    const said = other.lines.filter((line) => line.startsWith('changed certificate files'));
    expect(said).toHaveLength(3);
    expect(said[1]).toContain('name one authority');
    expect(said[2]).toContain('cannot be used together');
    await other.stop();
  });
});

describe('docs/tls.md', () => {
  it('has commands that make certificates which hold', async () => {
    const dir = makeScratchDir('openssl');
    const page = await readFile(new URL('../../docs/tls.md', import.meta.url), 'utf8');
    const script = page.split('```sh\n').at(1)?.split('```')[0] ?? '';
    await promisify(execFile)('sh', ['-e', '-c', script], { cwd: dir });
    const read = (name: string) => readFileSync(path.join(dir, name), 'utf8');
    const listener = new X509Certificate(read('server.crt'));
    expect(listener.verify(new X509Certificate(read('fleet-ca.crt')).publicKey)).toBe(true);
    expect(listener.checkPrivateKey(createPrivateKey(read('server.key')))).toBe(true);
    expect(listener.checkHost('muster.example.net')).toBe('muster.example.net');
    const own = await makePki();
    writeFileSync(own.files.fleetCa, read('fleet-ca.crt'));
    writeFileSync(own.files.operatorCa, read('operator-ca.crt'));
    const other = await startTlsReplica(url, own, {}, { hostnameSuffix: '' });
    const pair = (name: string) => ({ cert: read(`${name}.crt`), key: read(`${name}.key`) });
    const web = other.client(pair('web-01'));
    expect(await web.ask('/v1/agent/heartbeat', beat('web-01'))).toMatchObject({ status: 200 });
    const ada = other.client(pair('ada'));
    expect((await ada.ask('/v1/whoami')).body).toMatchObject({ cn: 'ada', role: 'admin' });
    await other.stop();
  });
});
