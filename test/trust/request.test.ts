/** Certificate requests: what is taken from one, and which are refused. They are made here, by the library. */
import 'reflect-metadata';
import { execFile } from 'node:child_process';
import { webcrypto } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import {
  BasicConstraintsExtension,
  type Extension,
  type JsonGeneralName,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
} from '@peculiar/x509';
import { describe, expect, it } from 'vitest';
import { makeRequest, readRequest } from '../../src/trust/request.ts';
import { makeScratchDir } from '../support/scratch.ts';

type KeyAlgorithm = webcrypto.EcKeyGenParams | webcrypto.RsaHashedKeyGenParams | { name: string };
const P256 = { name: 'ECDSA', namedCurve: 'P-256' };
const rsa = (modulusLength: number, exponent = [1, 0, 1]) => ({
  ...{ name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength },
  publicExponent: new Uint8Array(exponent),
});

interface Made {
  readonly algorithm?: KeyAlgorithm;
  readonly hash?: string;
  readonly san?: JsonGeneralName[];
  readonly extensions?: Extension[];
}

async function made({ algorithm = P256, hash = 'SHA-256', san = [], extensions = [] }: Made = {}) {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  if (!('privateKey' in keys)) throw new Error('no pair');
  const request = await Pkcs10CertificateRequestGenerator.create({
    ...{ name: [{ CN: ['web-01'] }], keys, signingAlgorithm: { ...algorithm, hash } },
    extensions: [
      ...(san.length === 0 ? [] : [new SubjectAlternativeNameExtension(san)]),
      ...extensions,
    ],
  });
  return request;
}

const pemOf = async (how: Made) => (await made(how)).toString('pem');

describe('a certificate request', () => {
  it('of our own is read back', async () => {
    const { csrPem, keyFingerprint } = await makeRequest('web-01');
    expect(await readRequest(csrPem)).toMatchObject({
      ok: true,
      value: {
        names: ['web-01', 'web-01'],
        keyFingerprint,
        hash: expect.stringMatching(/^[0-9a-f]{64}$/) as unknown,
      },
    });
  });

  it.each<[string, Made]>([
    ['P-256', {}],
    ['Ed25519', { algorithm: { name: 'Ed25519' } }],
    ['RSA of 2048 bits', { algorithm: rsa(2_048) }],
  ])('may be for a key of %s', async (_, how) => {
    expect(await readRequest(await pemOf(how))).toMatchObject({
      ok: true,
      value: { names: ['web-01'] },
    });
  });

  it.each<[string, Made, string]>([
    ['RSA of 1024 bits', { algorithm: rsa(1_024) }, 'must be P-256'],
    ['RSA with the exponent 3', { algorithm: rsa(2_048, [3]) }, 'must be P-256'],
    ['P-384', { algorithm: { name: 'ECDSA', namedCurve: 'P-384' } }, 'must be P-256'],
    ['a key it signs for with SHA-1', { hash: 'SHA-1' }, 'SHA-256'],
    ['an address', { san: [{ type: 'ip', value: '10.0.0.1' }] }, 'DNS names only'],
    ['a URL', { san: [{ type: 'url', value: 'https://a.example' }] }, 'DNS names only'],
  ])('is refused for %s', async (_, how, why) => {
    expect(await readRequest(await pemOf(how))).toMatchObject({
      ok: false,
      detail: expect.stringContaining(why) as unknown,
    });
  });

  it('is refused for half a point: one key has one fingerprint, and is no new one', async () => {
    const whole = path.join(makeScratchDir('compressed'), 'key.pem');
    const key = `${whole}.half`;
    const run = promisify(execFile);
    const { keyPem } = await makeRequest('web-01');
    writeFileSync(whole, keyPem);
    await run('openssl', ['pkey', '-in', whole, '-ec_conv_form', 'compressed', '-out', key]);
    const { stdout } = await run('openssl', ['req', '-new', '-key', key, '-subj', '/CN=web-01']);
    expect(await readRequest(stdout)).toEqual({
      ok: false,
      detail: 'its key is not written in the usual form',
    });
  });

  it('names everything it asks for', async () => {
    const san: JsonGeneralName[] = [{ type: 'dns', value: 'db-01' }];
    expect(await readRequest(await pemOf({ san }))).toMatchObject({
      value: { names: ['web-01', 'db-01'] },
    });
  });

  it('may ask to be an authority, which nobody looks at', async () => {
    const extensions = [new BasicConstraintsExtension(true, 3, true)];
    expect(await readRequest(await pemOf({ extensions }))).toMatchObject({ ok: true });
  });

  it('that its key did not sign is refused', async () => {
    const [one, two] = [await made(), await made()];
    const der = new Uint8Array(one.rawData);
    const other = new Uint8Array(two.rawData);
    // Its last bytes are of the signature.
    der.set(other.subarray(-20), der.length - 20);
    const lines =
      Buffer.from(der)
        .toString('base64')
        .match(/.{1,64}/g) ?? [];
    const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${lines.join('\n')}\n-----END CERTIFICATE REQUEST-----\n`;
    expect(await readRequest(pem)).toMatchObject({
      ok: false,
      detail: expect.stringContaining('not signed by') as unknown,
    });
  });

  it.each([
    ['nothing', ''],
    ['a word', 'certificate'],
    ['another block', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n'],
    ['an empty block', '-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n'],
    [
      'junk in a block',
      '-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n',
    ],
    ['a megabyte', 'A'.repeat(1_000_000)],
    [
      'nested to the brim',
      `-----BEGIN CERTIFICATE REQUEST-----\n${Buffer.alloc(11_000, 0x30).toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`,
    ],
  ])('is none: %s', async (_, pem) => {
    expect(await readRequest(pem)).toMatchObject({
      ok: false,
      detail: expect.any(String) as unknown,
    });
  });

  it('is one block, not two', async () => {
    const { csrPem } = await makeRequest('web-01');
    expect(await readRequest(csrPem + csrPem)).toMatchObject({ ok: false });
  });

  it('in any spelling of PEM costs no more than a moment', async () => {
    const dashes = '-----BEGIN CERTIFICATE REQUEST-----\n';
    const shapes = [
      dashes.repeat(400),
      `${dashes}${'A: b\n'.repeat(3_000)}`,
      `${dashes}${'\n'.repeat(15_000)}`,
      `${dashes}${'A'.repeat(15_000)}`,
      `${dashes}${'A\n'.repeat(7_500)}`,
      '-'.repeat(16_000),
      `${dashes}${' A'.repeat(7_500)}`,
    ];
    for (const shape of shapes) {
      const before = performance.now();
      expect((await readRequest(shape)).ok).toBe(false);
      expect([shape.slice(0, 60), performance.now() - before < 500]).toEqual([
        shape.slice(0, 60),
        true,
      ]);
    }
  });
});
