/** `muster ca`: what it makes fits together, and lets a host in. */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { ca } from '../../src/cli/ca.ts';
import { keygen } from '../../src/cli/keygen.ts';
import { tryAuthority } from '../../src/ca/authority.ts';
import { keyFileSigner } from '../../src/ca/key-file.ts';
import type { Json } from '../../src/trust/json.ts';
import { makeRequest } from '../../src/trust/request.ts';
import { verifyToken } from '../../src/trust/token.ts';
import { decodeTrust } from '../../src/trust/trust-file.ts';
import { makeScratchDir } from '../support/scratch.ts';

async function run(command: typeof ca, ...args: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const io = {
    stdout: { write: (text: string) => out.push(text) },
    stderr: { write: (text: string) => err.push(text) },
  };
  return { code: await command(args, io), out: out.join(''), err: err.join('') };
}

it('makes an authority, a root and a token that is believed', async () => {
  const dir = makeScratchDir('ca');
  const at = (name: string): string => path.join(dir, name);
  expect((await run(keygen, '--out', dir)).code).toBe(0);
  expect((await run(ca, 'init', '--out', dir)).code).toBe(0);
  await tryAuthority(at('fleet-ca.crt'), keyFileSigner(at('fleet-ca.key')));
  expect(statSync(at('fleet-ca.key')).mode & 0o777).toBe(0o600);
  const rooted = await run(ca, 'root', '--out', dir, '--trust', at('trust.json'), '--json');
  expect(JSON.parse(rooted.out)).toMatchObject({ ok: true, key: at('org-root.pem') });

  const { csrPem } = await makeRequest('web-01');
  writeFileSync(at('web.csr'), csrPem);
  const asked = ['--key', at('org-root.pem'), '--hostname', 'web-01', '--csr', at('web.csr')];
  const made = await run(ca, 'bootstrap', ...asked, '--json');
  const { token, entry } = JSON.parse(made.out) as { token: Json; entry: { nonce: string } };
  const trust = decodeTrust(readFileSync(at('trust.json')));
  if (!trust.ok) throw new Error(trust.detail);
  expect(verifyToken(token, trust.value, Date.now())).toMatchObject({
    ok: true,
    claims: { hostname: 'web-01', nonce: entry.nonce },
  });

  // A second root goes before the first, whose tokens stay good.
  expect((await run(ca, 'root', '--out', dir, '--trust', at('trust.json'), '--force')).code).toBe(
    0,
  );
  const rotated = decodeTrust(readFileSync(at('trust.json')));
  expect(rotated.ok && verifyToken(token, rotated.value, Date.now()).ok).toBe(true);
});

it.each([
  [[], 'say init, root or bootstrap'],
  [['init'], '--out DIR is required'],
  [['init', '--out', '/tmp', '--days', 'many'], '--days many'],
  [['root', '--out', '/nowhere', '--trust', '/nowhere/trust.json'], 'cannot read the trust file'],
  [['bootstrap', '--hostname', 'a b'], 'no host name'],
  [['bootstrap', '--hostname', 'web-01'], '--key FILE is required'],
])('says what is wrong: %j', async (args, why) => {
  const { code, err } = await run(ca, ...args);
  expect([code, err]).toEqual([2, expect.stringContaining(why)]);
});

it('overwrites no key', async () => {
  const dir = makeScratchDir('ca');
  await run(ca, 'init', '--out', dir);
  const { code, out } = await run(ca, 'init', '--out', dir, '--json');
  expect([code, JSON.parse(out)]).toEqual([
    2,
    { ok: false, error: expect.stringContaining('exists') as unknown },
  ]);
  expect(existsSync(path.join(dir, 'fleet-ca.key'))).toBe(true);
});
