/** Who is admitted where, by certificates over real TLS: every route that the application has, times each proof. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { storeArtifacts } from '../../src/db/artifacts.ts';
import { newAuthority, type Pair } from '../support/certificates.ts';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import type { TlsClient } from '../support/tls-client.ts';
import { refusal, servedTo, type Caller } from './support/admission.ts';
import { pathTo, routesOf, type RouteOf } from './support/routes.ts';
import { makePki, startTlsReplica, SUFFIX, type Pki, type TlsReplica } from './support/tls.ts';

let pki: Pki;
let replica: TlsReplica;
let routes: RouteOf[];

beforeAll(async () => {
  const { url } = await createTestDatabase();
  pki = await makePki();
  replica = await startTlsReplica(url, pki);
  routes = routesOf(replica.api.app);
});
afterAll(() => replica.stop());

const web = `web-01${SUFFIX}`;

/** Holds, and makes its holder this caller. */
const GOOD: Readonly<Record<string, readonly [Caller, () => Promise<Pair | null>]>> = {
  'no certificate': ['nobody', () => Promise.resolve(null)],
  'an agent': ['agent', () => pki.agent('web-01')],
  'a viewer': ['viewer', () => pki.operator('ada')],
  'an operator': ['operator', () => pki.operator('ada', 'operator')],
  'an admin': ['admin', () => pki.operator('ada', 'admin')],
};

const BAD: Readonly<Record<string, () => Promise<Pair>>> = {
  'an expired agent': () =>
    pki.fleet.issue({ cn: web, notBefore: new Date(0), notAfter: new Date(1_000) }),
  'an expired admin': () =>
    pki.operators.issue({
      cn: 'ada',
      ou: ['admin'],
      notBefore: new Date(0),
      notAfter: new Date(1_000),
    }),
  'an agent of a foreign authority': async () => (await newAuthority('fleet')).issue({ cn: web }),
  'an admin of a foreign authority': async () =>
    (await newAuthority('operators')).issue({ cn: 'ada', ou: ['admin'] }),
  'a revoked agent': () => pki.fleet.issue({ cn: `gone-01${SUFFIX}` }),
};

async function ask(
  { method, route }: RouteOf,
  client: TlsClient,
  headers: Record<string, string> = {},
): Promise<string> {
  const { status, code } = await client.ask(pathTo(route), {
    ...{ method: method as 'GET', headers },
    ...(method === 'POST' ? { body: {} } : {}),
  });
  return `${String(status)} ${code}`.trim();
}

/** HEAD has no body to say a code in. */
function said(method: string, text: string): string {
  return method === 'HEAD' ? text.slice(0, 3) : text;
}

it.each(Object.keys(GOOD))('is decided on every route for %s', async (name) => {
  const [caller, make] = GOOD[name] ?? ['nobody', () => Promise.resolve(null)];
  const client = replica.client(await make());
  for (const route of routes) {
    const wanted = refusal(caller, servedTo(route));
    const got = await ask(route, client);
    const what = `${route.method} ${route.route}`;
    if (wanted === null)
      expect([what, got.slice(0, 3)]).not.toEqual([what, expect.stringMatching(/40[13]/)]);
    else expect([what, got]).toEqual([what, said(route.method, wanted)]);
  }
});

it.each(Object.keys(BAD))('is 401 on every route that asks who one is, for %s', async (name) => {
  await revoke('gone-01');
  const pair = (await BAD[name]?.()) ?? null;
  await everywhereUnknown(pair, {});
});

it.each([
  ['nobody', () => Promise.resolve(null)],
  ['an agent', () => pki.agent('web-01')],
  ['an admin', () => pki.operator('ada', 'admin')],
] as const)('is 401 on every such route with a forged Client-Cert, sent by %s', async (_, make) => {
  const forged = (await pki.operator('root', 'admin')).der.toString('base64');
  await everywhereUnknown(await make(), { 'client-cert': `:${forged}:` });
});

async function everywhereUnknown(
  pair: Pair | null,
  headers: Record<string, string>,
): Promise<void> {
  const client = replica.client(pair);
  for (const route of routes.filter((one) => servedTo(one) !== 'anyone')) {
    const what = `${route.method} ${route.route}`;
    const wanted = said(route.method, '401 unauthenticated');
    expect([what, await ask(route, client, headers)]).toEqual([what, wanted]);
  }
}

/** Everything that was issued to the host so far. */
async function revoke(hostname: string): Promise<void> {
  const notBefore = new Date(Date.now() + 60_000).toISOString();
  const content = JSON.stringify({
    schemaVersion: 1,
    revocations: [{ hostname, notBefore }],
    meta: {},
  });
  const bytes = Buffer.from(content);
  const signedAt = new Date().toISOString();
  const name = { kind: 'revocations', name: 'revocations', hash: signedAt } as const;
  await storeArtifacts(
    replica.pool,
    [{ ...name, bytes, signature: bytes, content, signedAt }],
    signedAt,
  );
  replica.wake();
  const gone = replica.client(await pki.agent(hostname));
  await eventually(() => ask({ method: 'GET', route: '/v1/agent/dispatch' }, gone)).toBe(
    '401 unauthenticated',
  );
}
