/** What a certificate says is what was ordered, whoever signs; and what does not verify never leaves. */
import { chmodSync, writeFileSync } from 'node:fs';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { commandSigner } from '../../src/ca/command.ts';
import { createAuthority } from '../../src/ca/create.ts';
import { createIssuer, type Order } from '../../src/ca/issue.ts';
import { keyFileSigner } from '../../src/ca/key-file.ts';
import { tryAuthority } from '../../src/ca/authority.ts';
import { makeRequest, readRequest } from '../../src/trust/request.ts';
import { makeScratchDir } from '../support/scratch.ts';

const dir = makeScratchDir('ca');
const day = 86_400_000;

async function authority(name: string) {
  const { certPem, keyPem } = await createAuthority(
    name,
    new Date(Date.now() - day),
    new Date(Date.now() + day),
  );
  const files = { cert: path.join(dir, `${name}.crt`), key: path.join(dir, `${name}.key`) };
  writeFileSync(files.cert, certPem);
  writeFileSync(files.key, keyPem);
  return files;
}

async function order(name: string): Promise<Order> {
  const read = await readRequest((await makeRequest(name)).csrPem);
  if (!read.ok) throw new Error(read.detail);
  return {
    ...{ name, spki: read.value.spki, serial: '01ab' },
    notBefore: '2026-05-16T01:27:01.000Z',
    notAfter: '2026-06-15T01:27:01.000Z',
  };
}

/** A wrapper that answers as a KMS would, in the language that is there anyway. */
function script(name: string, body: string): string {
  const file = path.join(dir, name);
  writeFileSync(file, `#!${process.execPath}\n${body}`);
  chmodSync(file, 0o700);
  return file;
}

const command = (file: string, timeoutMs = 30_000) =>
  commandSigner({ command: file, timeoutMs, env: { PATH: process.env['PATH'] } });

describe('a certificate', () => {
  it('says what was ordered, and no more', async () => {
    const files = await authority('one');
    const pem = await createIssuer(files.cert, keyFileSigner(files.key)).issue(
      await order('web-01'),
    );
    const certificate = new X509Certificate(pem);
    expect(certificate).toMatchObject({
      subject: 'CN=web-01',
      issuer: 'CN=one',
      subjectAltName: 'DNS:web-01',
      ca: false,
      serialNumber: '01AB',
      keyUsage: ['1.3.6.1.5.5.7.3.2'],
    });
    expect([certificate.validFrom, certificate.validTo]).toEqual([
      'May 16 01:27:01 2026 GMT',
      'Jun 15 01:27:01 2026 GMT',
    ]);
  });

  it('holds a name longer than a common name may be', async () => {
    const files = await authority('long');
    const name = `${'a'.repeat(60)}.agents.example.net`;
    const pem = await createIssuer(files.cert, keyFileSigner(files.key)).issue(await order(name));
    expect(new X509Certificate(pem)).toMatchObject({ subjectAltName: `DNS:${name}` });
    expect(new X509Certificate(pem).subject).toBeFalsy();
  });
});

describe('a command that signs', () => {
  it('is given the bytes, and its signature stands in the certificate', async () => {
    const files = await authority('kms');
    const file = script(
      'kms.cjs',
      `const { createPrivateKey, sign } = require('node:crypto');
       let text = '';
       process.stdin.on('data', (chunk) => (text += chunk)).on('end', () => {
         const { v, algorithm, tbs, name, serial } = JSON.parse(text);
         if (v !== 1 || algorithm !== 'ecdsa-p256-sha256' || name !== 'web-01' || serial !== '01ab') process.exit(9);
         const key = createPrivateKey(require('node:fs').readFileSync(${JSON.stringify(files.key)}));
         const signature = sign('sha256', Buffer.from(tbs, 'base64'), key).toString('base64');
         process.stdout.write(JSON.stringify({ signature }));
       });`,
    );
    const pem = await createIssuer(files.cert, command(file)).issue(await order('web-01'));
    expect(new X509Certificate(pem).subject).toBe('CN=web-01');
  });

  it.each([
    ['process.exit(3)', 'ended with 3'],
    ['console.error("no such key"); process.exitCode = 1', 'no such key'],
    ['console.log("{}")', 'gave no {"signature"}'],
    ['console.log("x".repeat(1e6))', 'more than 16 KiB'],
    ['console.log(JSON.stringify({ signature: "AAAA" }))', 'no ECDSA signature in DER'],
    [
      'console.log(JSON.stringify({ signature: require("node:crypto").sign("sha256", Buffer.from("x"), require("node:crypto").generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey).toString("base64") }))',
      'does not verify',
    ],
  ])('is refused when it does wrong: %s', async (body, why) => {
    const files = await authority('bad');
    const issuing = createIssuer(files.cert, command(script('bad.cjs', body))).issue(
      await order('web-01'),
    );
    await expect(issuing).rejects.toThrow(why);
  });

  it('is ended when it takes too long, with what it started', async () => {
    const files = await authority('slow');
    const file = script('slow.cjs', 'setInterval(() => undefined, 1e6)');
    const issuing = createIssuer(files.cert, command(file, 50)).issue(await order('web-01'));
    await expect(issuing).rejects.toThrow('within 50 ms');
  });
});

describe('a misconfiguration is told in a sentence', () => {
  it.each([
    ['another key', 'is not the key of the certificate'],
    ['no key', 'no unencrypted private key'],
    ['no file', 'cannot read MUSTER_CA_CERT_FILE'],
    ['a leaf', 'it is no certificate authority'],
    ['no command', 'no file that can be executed'],
  ])('%s', async (name, why) => {
    const files = await authority('good');
    const other = path.join(dir, 'other.key');
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    writeFileSync(other, privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const leaf = path.join(dir, 'leaf.crt');
    writeFileSync(
      leaf,
      await createIssuer(files.cert, keyFileSigner(files.key)).issue(await order('web-01')),
    );
    const tries = new Map([
      ['another key', () => tryAuthority(files.cert, keyFileSigner(other))],
      ['no key', () => tryAuthority(files.cert, keyFileSigner(files.cert))],
      ['no file', () => tryAuthority(path.join(dir, 'none'), keyFileSigner(other))],
      ['a leaf', () => tryAuthority(leaf, keyFileSigner(other))],
      ['no command', () => tryAuthority(files.cert, command(files.cert))],
    ]);
    await expect(tries.get(name)?.()).rejects.toThrow(why);
  });
});
