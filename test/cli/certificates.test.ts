/** `muster` as an operator with a certificate: what a profile names is presented, and whom it trusts is asked only. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runNoun } from '../../src/cli/operate/operate.ts';
import { makePki, startTlsReplica, type Pki, type TlsReplica } from '../api/support/tls.ts';
import { writePair } from '../support/certificates.ts';
import { createTestDatabase } from '../support/database.ts';
import { makeScratchDir } from '../support/scratch.ts';
import { run } from './support.ts';

let pki: Pki;
let replica: TlsReplica;
const home = makeScratchDir('operator');
const folder = path.join(home, 'muster');

beforeAll(async () => {
  const { url } = await createTestDatabase();
  pki = await makePki();
  replica = await startTlsReplica(url, pki, {}, {}, { devIdentity: false });
  await mkdir(folder, { recursive: true });
  writePair(folder, 'ada', await pki.operator('ada@example.net', 'admin'));
  writePair(folder, 'web-01', await pki.agent('web-01'));
  await writeFile(path.join(folder, 'ca.pem'), pki.servers.cert);
});
afterAll(() => replica.stop());

async function whoami(profile: object, env: Readonly<Record<string, string>> = {}) {
  const own = { url: `https://127.0.0.1:${String(replica.port)}`, ...profile };
  const config = { default: 'own', profiles: { own } };
  await writeFile(path.join(folder, 'config.json'), JSON.stringify(config));
  const all = { XDG_CONFIG_HOME: home, ...env };
  return run((args, io) => runNoun('whoami', args, io, all));
}

const ADA = { caFile: 'ca.pem', certFile: 'ada.crt', keyFile: 'ada.key' };

it('is the certificate’s operator, whatever token is there too', async () => {
  const expected = /^ada@example\.net: admin, by certificate/;
  expect((await whoami(ADA)).stdout).toMatch(expected);
  expect((await whoami(ADA, { MUSTER_TOKEN: 'muster_0_0' })).stdout).toMatch(expected);
});

it('is nobody without, and no operator with a host’s', async () => {
  expect(await whoami({ caFile: 'ca.pem' })).toMatchObject({ code: 3, stdout: '' });
  const host = { caFile: 'ca.pem', certFile: 'web-01.crt', keyFile: 'web-01.key' };
  expect(await whoami(host)).toMatchObject({ code: 3, stdout: '' });
});

it('shows its certificate to nobody whom the profile does not trust', async () => {
  const { code, stderr } = await whoami({ certFile: 'ada.crt', keyFile: 'ada.key' });
  expect([code, stderr]).toEqual([4, expect.stringContaining('set caFile in the profile')]);
  await writeFile(path.join(folder, 'other.pem'), pki.fleet.cert);
  expect((await whoami({ ...ADA, caFile: 'other.pem' })).code).toBe(4);
});

it('says what is missing', async () => {
  expect((await whoami({ ...ADA, keyFile: 'gone.key' })).stderr).toMatch(/keyFile .* is not there/);
  expect((await whoami({ caFile: 'ca.pem', certFile: 'ada.crt' })).stderr).toMatch(/needs both/);
});
