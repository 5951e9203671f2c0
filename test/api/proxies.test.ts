/** Certificates that proxies forward: believed on their listener, of proxies that prove themselves, and nowhere else. */
import 'reflect-metadata';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { connect } from 'node:tls';
import { ExtendedKeyUsage } from '@peculiar/x509';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newAuthority, type Authority, type Pair } from '../support/certificates.ts';
import { createTestDatabase } from '../support/database.ts';
import { makeScratchDir } from '../support/scratch.ts';
import { tlsClient, type Answer, type TlsClient } from '../support/tls-client.ts';
import { makePki, startTlsReplica, SUFFIX, type Pki, type TlsReplica } from './support/tls.ts';

const POLL = '/v1/agent/dispatch?wait=0';
const UNKNOWN = { status: 401, code: 'unauthenticated' };
const secret = randomBytes(24).toString('hex');
const SECRET = { 'x-muster-proxy-secret': secret };

let url: string;
let pki: Pki;
let proxies: Authority;
let proxy: Pair;
let dir: string;
let replica: TlsReplica;
let web: Pair;

beforeAll(async () => {
  ({ url } = await createTestDatabase());
  pki = await makePki();
  proxies = await newAuthority('proxies');
  proxy = await proxies.issue({ cn: 'envoy-1' });
  web = await pki.agent('web-01');
  dir = makeScratchDir('proxies');
  writeFileSync(path.join(dir, 'ca.pem'), proxies.cert);
  writeFileSync(path.join(dir, 'secret'), `${secret}\n`);
  replica = await start(['127.0.0.0/8']);
});
afterAll(() => replica.stop());

function start(
  addresses: readonly string[],
  others: { readonly proxyCa?: string } = {},
): Promise<TlsReplica> {
  const own = { proxyCa: path.join(dir, 'ca.pem'), proxySecret: path.join(dir, 'secret') };
  const files = { ...own, ...others };
  return startTlsReplica(
    url,
    pki,
    {},
    { files, proxies: { host: '127.0.0.1', port: 0, addresses } },
  );
}

function client(pair: Pair | null, of = replica): TlsClient {
  return tlsClient(of.api.proxyPort ?? 0, { ca: pki.servers.cert, pair });
}

const forward = ({ der }: Pair) => ({ 'client-cert': `:${der.toString('base64')}:` });

async function ask(
  headers: Record<string, string | string[]>,
  pair: Pair | null = proxy,
): Promise<Answer> {
  const through = client(pair);
  try {
    return await through.ask(POLL, { headers });
  } finally {
    through.close();
  }
}

describe('the listener for proxies', () => {
  it('takes the certificate that a proxy forwards, and judges it as one of a handshake', async () => {
    const through = client(proxy);
    const headers = { ...SECRET, ...forward(web) };
    expect(await through.ask(POLL, { headers })).toMatchObject({ status: 204 });
    const body = { hostname: 'web-02', at: '2026-05-16T01:00:00Z' };
    const beat = { method: 'POST', headers, body } as const;
    expect(await through.ask('/v1/agent/heartbeat', beat)).toMatchObject({ code: 'wrong-host' });
    expect(await through.ask('/v1/whoami', { headers })).toMatchObject({ code: 'wrong-identity' });
    const ada = { ...SECRET, ...forward(await pki.operator('ada', 'admin')) };
    const whoami = await through.ask('/v1/whoami', { headers: ada });
    expect(whoami.body).toMatchObject({ cn: 'ada', role: 'admin' });
    through.close();
  });

  it('refuses a certificate that does not hold, and keeps the connection of the proxy', async () => {
    const through = client(proxy);
    const bad = [
      await proxies.issue({ cn: `web-01${SUFFIX}` }),
      await pki.servers.issue({ cn: `web-01${SUFFIX}` }),
      await pki.fleet.issue({
        cn: `web-01${SUFFIX}`,
        notBefore: new Date(0),
        notAfter: new Date(1_000),
      }),
      await pki.fleet.issue({ cn: `web-01${SUFFIX}`, usages: [ExtendedKeyUsage.serverAuth] }),
    ];
    for (const pair of bad) {
      const answer = await through.ask(POLL, { headers: { ...SECRET, ...forward(pair) } });
      expect(answer).toMatchObject(UNKNOWN);
    }
    expect(await through.ask(POLL, { headers: { ...SECRET, ...forward(web) } })).toMatchObject({
      status: 204,
      reused: true,
    });
    through.close();
  });

  it('believes no proxy without its secret', async () => {
    for (const wrong of [
      {},
      { 'x-muster-proxy-secret': '' },
      { 'x-muster-proxy-secret': `${secret}0` },
    ])
      expect(await ask({ ...wrong, ...forward(web) })).toMatchObject(UNKNOWN);
    expect(await ask({ 'x-muster-proxy-secret': [secret, secret], ...forward(web) })).toMatchObject(
      UNKNOWN,
    );
  });

  it('shakes no hands without a certificate of the proxies, an agent of the fleet included', async () => {
    for (const pair of [
      null,
      web,
      await pki.operator('ada'),
      await (await newAuthority('proxies')).issue({ cn: 'envoy-1' }),
    ])
      await expect(ask({ ...SECRET, ...forward(web) }, pair)).rejects.toThrow(
        /alert|ECONNRESET|EPIPE|hang up/,
      );
    const server = await proxies.issue({ cn: 'envoy-1', usages: [ExtendedKeyUsage.serverAuth] });
    await expect(ask({ ...SECRET, ...forward(web) }, server)).rejects.toThrow(
      /alert|ECONNRESET|EPIPE|hang up/,
    );
  });

  it('lets each proxy prove itself anew when their authority is replaced, on open connections too', async () => {
    const ca = path.join(makeScratchDir('proxies'), 'ca.pem');
    writeFileSync(ca, proxies.cert);
    const other = await start(['127.0.0.0/8'], { proxyCa: ca });
    const headers = { ...SECRET, ...forward(web) };
    const through = client(proxy, other);
    expect(await through.ask(POLL, { headers })).toMatchObject({ status: 204 });
    const successors = await newAuthority('proxies');
    writeFileSync(ca, successors.cert);
    await other.material.look();
    expect(await through.ask(POLL, { headers })).toMatchObject({ status: 503, reused: true });
    await expect(through.ask(POLL, { headers })).rejects.toThrow(/alert|ECONNRESET|EPIPE|hang up/);
    const successor = client(await successors.issue({ cn: 'envoy-1' }), other);
    expect(await successor.ask(POLL, { headers })).toMatchObject({ status: 204 });
    through.close();
    successor.close();
    await other.stop();
  });

  it('does not take the proxy for an agent or an operator', async () => {
    expect(await ask(SECRET)).toMatchObject(UNKNOWN);
  });

  it.each<[string, (base64: string) => string | string[]]>([
    ['no colons', (base64) => base64],
    ['parameters', (base64) => `:${base64}:;a=1`],
    ['two certificates', (base64) => `:${base64}:, :${base64}:`],
    ['the header twice', (base64) => [`:${base64}:`, `:${base64}:`]],
    ['nothing', () => '::'],
    ['no certificate', () => ':bm9uc2Vuc2U=:'],
    [
      'something after it',
      (base64) =>
        `:${Buffer.concat([Buffer.from(base64, 'base64'), Buffer.from('x')]).toString('base64')}:`,
    ],
  ])('refuses a header with %s', async (_, form) => {
    const headers = { ...SECRET, 'client-cert': form(web.der.toString('base64')) };
    expect(await ask(headers)).toMatchObject(UNKNOWN);
  });

  it('cuts off whoever connects from elsewhere', async () => {
    const other = await start(['10.0.0.0/8', '::1']);
    const through = client(proxy, other);
    await expect(through.ask(POLL, { headers: SECRET })).rejects.toThrow(
      /ECONNRESET|EPIPE|socket|hang up/,
    );
    through.close();
    const main = other.client(web);
    expect(await main.ask(POLL)).toMatchObject({ status: 204 });
    await other.stop();
  });

  it.each([
    ['both lengths', 'Content-Length: 4\r\nTransfer-Encoding: chunked', '0\r\n\r\n'],
    ['two lengths', 'Content-Length: 0\r\nContent-Length: 70', ''],
    ['a space before the colon', 'Content-Length : 70', ''],
    ['an unknown coding', 'Transfer-Encoding: xchunked', '0\r\n\r\n'],
    ['a folded header', 'X-A: b\r\n Client-Cert: :AAAA:', ''],
  ])('takes no second request out of one with %s', async (_, framing, body) => {
    const smuggled = `GET ${POLL} HTTP/1.1\r\nHost: x\r\nX-Muster-Proxy-Secret: ${secret}\r\nClient-Cert: ${forward(web)['client-cert']}\r\n\r\n`;
    const head = `POST /v1/agent/heartbeat HTTP/1.1\r\nHost: x\r\nX-Muster-Proxy-Secret: ${secret}\r\n${framing}\r\n\r\n`;
    const text = await exchange(`${head}${body}${smuggled}`);
    expect(text).toMatch(/^HTTP\/1\.1 4/);
    expect(text).not.toContain('HTTP/1.1 2');
  });
});

describe('everyone else', () => {
  it('is refused a forwarded certificate, whoever they are themselves', async () => {
    for (const pair of [null, web, proxy]) {
      const straight = replica.client(pair);
      const answer = await straight.ask(POLL, { headers: { ...SECRET, ...forward(web) } });
      expect(answer).toMatchObject(UNKNOWN);
      expect(
        await straight.ask(POLL, { headers: { 'client-cert-chain': ':AAAA:' } }),
      ).toMatchObject(UNKNOWN);
    }
  });
});

/** What the listener for proxies answers to these very bytes, until it closes or has answered twice. */
function exchange(bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const port = replica.api.proxyPort ?? 0;
    const socket = connect({
      host: '127.0.0.1',
      port,
      ca: pki.servers.cert,
      cert: proxy.cert,
      key: proxy.key,
    });
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    socket.on('error', reject);
    socket.on('close', () => {
      resolve(text);
    });
    socket.end(bytes);
  });
}
