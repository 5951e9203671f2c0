/** A host's way to the control plane under its own certificate, against a TLS server that says which one it saw. */
import 'reflect-metadata'; // before x509, which injects its parts by it
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { TLSSocket } from 'node:tls';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openEnrolled, type Enrolled, type EnrolledOptions } from '../../src/agent/enrolled.ts';
import type { Reply } from '../../src/agent/http-control-plane.ts';
import { createAuthority, newSerial } from '../../src/ca/create.ts';
import { createIssuer, type Issuer } from '../../src/ca/issue.ts';
import { keyFileSigner } from '../../src/ca/key-file.ts';
import { createServerCertificate } from '../../src/ca/leaf.ts';
import { readRequest } from '../../src/trust/request.ts';
import { isJsonObject, parseJsonText } from '../../src/wire/text.ts';
import { eventually } from '../support/eventually.ts';
import { makeScratchDir } from '../support/scratch.ts';

const DAY_MS = 86_400_000;
const begin = new Date(Math.floor(Date.now() / 1_000) * 1_000);
const end = new Date(begin.getTime() + 30 * DAY_MS);
const asked: string[] = [];
const dir = makeScratchDir('enrolled');
const files = { cert: path.join(dir, 'ca.crt'), key: path.join(dir, 'ca.key') };
const stop = new AbortController();
/** By the clock of the host that was asked last. */
let today = begin.getTime();
let issuer: Issuer;
let ca: string;
let server: https.Server;
let release: () => void = () => undefined;

beforeAll(async () => {
  const authority = await createAuthority('fleet', begin, new Date(begin.getTime() + 100 * DAY_MS));
  writeFileSync(files.cert, authority.certPem);
  writeFileSync(files.key, authority.keyPem);
  issuer = createIssuer(files.cert, keyFileSigner(files.key));
  const { certPem: cert, keyPem: key } = await createServerCertificate(begin, end);
  ca = cert;
  const options = { cert, key, requestCert: true, rejectUnauthorized: false };
  server = https.createServer(options, (request, response) => void answer(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => {
  stop.abort();
  server.closeAllConnections();
  server.close();
});

/** Certificates for whoever asks; else the serial number of the certificate that was seen. */
async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { url = '', socket } = request;
  asked.push(url);
  const body = parseJsonText(await text(request));
  const seen = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
  if (url === '/held') await new Promise<void>((resolve) => (release = resolve));
  if (!body.ok || !isJsonObject(body.value) || typeof body.value['csrPem'] !== 'string') {
    response.end(seen?.serialNumber.toLowerCase() ?? 'nobody');
    return;
  }
  const read = await readRequest(body.value['csrPem']);
  if (!read.ok) throw new Error(read.detail);
  const notBefore = new Date(today).toISOString();
  const notAfter = new Date(today + 30 * DAY_MS).toISOString();
  const order = { name: 'web-01', spki: read.value.spki, serial: newSerial(), notBefore, notAfter };
  response.end(JSON.stringify({ certPem: await issuer.issue(order), notAfter }));
}

/** Days pass when a test says so. */
function calendar() {
  let now = begin.getTime();
  const sleepers = new Set<() => void>();
  return {
    now: () => now,
    sleep: (ms: number) =>
      new Promise<void>((resolve) => {
        const until = now + ms;
        const look = (): void => {
          if (now < until) return;
          sleepers.delete(look);
          resolve();
        };
        sleepers.add(look);
        look();
      }),
    pass(ms: number): void {
      now += ms;
      today = now;
      for (const look of sleepers) look();
    },
  };
}

function optionsFor(clock: EnrolledOptions['clock'], token: unknown): EnrolledOptions {
  const { port } = server.address() as AddressInfo;
  const log = { info: () => undefined, warn: () => undefined };
  return {
    ...{ endpoint: `https://127.0.0.1:${String(port)}`, ca, clock, random: () => 0.5, log, token },
    ...{ dir: path.join(dir, 'web-01'), name: 'web-01' },
  };
}

async function open(options: EnrolledOptions): Promise<Enrolled> {
  const opened = await openEnrolled(options, stop.signal);
  if (opened === null) throw new Error('it ended');
  return opened;
}

const textOf = (reply: Reply | { readonly kind: 'trouble'; readonly reason: string }): string =>
  reply.kind === 'reply' ? reply.body.toString() : reply.reason;

async function seenBy({ carrier }: Enrolled): Promise<string> {
  return textOf(await carrier.short({ method: 'GET', path: '/who' }, stop.signal));
}

it('enrols, renews after half a life, and is seen under the new certificate without a restart', async () => {
  const clock = calendar();
  const host = await open(optionsFor(clock, { version: 1 }));
  const first = await seenBy(host);
  expect(first).toMatch(/^01[0-9a-f]+$/);
  const parked = host.carrier.poll({ method: 'GET', path: '/held' }, stop.signal);
  await eventually(() => asked).toContain('/held');

  clock.pass(13 * DAY_MS);
  expect(await seenBy(host)).toBe(first);
  clock.pass(4 * DAY_MS);
  await eventually(() => seenBy(host)).not.toBe(first);
  // What was under way ends under the old one, and its connection with it.
  release();
  expect(textOf(await parked)).toBe(first);
  const second = await seenBy(host);
  const count = (): Promise<number> =>
    new Promise((resolve) => server.getConnections((_, open) => resolve(open)));
  await eventually(count).toBe(1);
  host.close();

  const restarted = await open(optionsFor(clock, null));
  expect(await seenBy(restarted)).toBe(second);
  restarted.close();
  expect(asked.filter((url) => url.startsWith('/v1/'))).toEqual(['/v1/enroll', '/v1/agent/renew']);
});

it('says what it needs where there is neither a certificate nor a token', async () => {
  const clock = calendar();
  const options = { ...optionsFor(clock, null), dir: path.join(dir, 'db-01') };
  await expect(open(options)).rejects.toThrow(/no bootstrap token: ask for one/);
  clock.pass(60 * DAY_MS);
  await expect(open(optionsFor(clock, null))).rejects.toThrow(/holds no certificate for web-01/);
});

it('keeps its key to itself where the server is not whom it trusts', async () => {
  const clock = calendar();
  const stranger = await createServerCertificate(begin, end);
  const host = await open({ ...optionsFor(clock, null), ca: stranger.certPem });
  const before = asked.length;
  expect(await seenBy(host)).toMatch(/certificate/);
  expect(asked).toHaveLength(before);
  expect(readFileSync(path.join(dir, 'web-01', 'identity.pem'), 'utf8')).toContain('PRIVATE KEY');
  host.close();
});
