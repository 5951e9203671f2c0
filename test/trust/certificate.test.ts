/** What a certificate must be to speak for anyone, whoever issued it. */
import 'reflect-metadata';
import type { webcrypto } from 'node:crypto';
import { ExtendedKeyUsage, Extension, KeyUsageFlags, KeyUsagesExtension } from '@peculiar/x509';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  issuerOf,
  outOfDate,
  readAuthorities,
  readCertificate,
  readCertificates,
  type Certificate,
} from '../../src/trust/certificate.ts';
import { newAuthority, newKeys, type Authority, type Wanted } from '../support/certificates.ts';

let ca: Authority;
beforeAll(async () => {
  ca = await newAuthority('fleet');
});

async function issued(wanted: Wanted, by = ca): Promise<Certificate> {
  const read = readCertificate((await by.issue(wanted)).der);
  if (!read.ok) throw new Error(read.detail);
  return read.value;
}

function authorities(...pems: string[]): readonly Certificate[] {
  const read = readAuthorities(pems.join('\n'));
  if (!read.ok) throw new Error(read.detail);
  return read.value;
}

describe('a certificate', () => {
  it('gives its names, dates and fitness', async () => {
    const notBefore = new Date('2026-11-01T00:00:00Z');
    const notAfter = new Date('2026-12-01T00:00:00Z');
    const one = await issued({
      cn: 'web-01',
      dns: ['web-01.x'],
      ou: ['a', 'b'],
      notBefore,
      notAfter,
    });
    expect(one).toMatchObject({
      commonNames: ['web-01'],
      dnsNames: ['web-01.x'],
      organisationalUnits: ['a', 'b'],
      notBefore: notBefore.getTime(),
      notAfter: notAfter.getTime(),
      unfit: undefined,
      isAuthority: false,
    });
    expect(outOfDate(one, notBefore.getTime())).toBeUndefined();
    expect(outOfDate(one, notAfter.getTime())).toBeUndefined();
    expect(outOfDate(one, notBefore.getTime() - 1)).toContain('not valid before');
    expect(outOfDate(one, notAfter.getTime() + 1)).toContain('expired 2026-12-01T00:00:00Z');
  });

  it.each<[string, Wanted]>([
    ['lacks clientAuth', { usages: [ExtendedKeyUsage.serverAuth] }],
    ['lacks clientAuth', { usages: [] }],
    ['is a certificate authority', { ca: true, usages: [ExtendedKeyUsage.clientAuth] }],
    ['is signed with', { hash: 'SHA-1' }],
    [
      'critical extension 1.2.3.4',
      { extensions: [new Extension('1.2.3.4', true, new Uint8Array([5, 0]))] },
    ],
    ['extension twice', { extensions: [new KeyUsagesExtension(KeyUsageFlags.digitalSignature)] }],
  ])('is unfit when it %s', async (why, wanted) => {
    expect((await issued({ cn: 'web-01', ...wanted })).unfit).toContain(why);
  });

  it('is unfit with a weak key, and fit with others than P-256', async () => {
    const rsa = (modulusLength: number): webcrypto.RsaHashedKeyGenParams => ({
      ...{ name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength },
      publicExponent: new Uint8Array([1, 0, 1]),
    });
    const of = async (bits: number) =>
      (await issued({ cn: 'web-01', keys: await newKeys(rsa(bits)) })).unfit;
    expect(await of(1_024)).toContain('too weak');
    expect(await of(2_048)).toBeUndefined();
    const keys = await newKeys({ name: 'ECDSA', namedCurve: 'P-384' });
    expect((await issued({ cn: 'web-01', keys })).unfit).toBeUndefined();
  });

  it('that is none is refused, however large', () => {
    expect(readCertificate(Buffer.from('nonsense'))).toMatchObject({ ok: false });
    expect(readCertificate(Buffer.alloc(100_000))).toEqual({
      ok: false,
      detail: 'it is larger than 16 KiB',
    });
    expect(readCertificates('nothing')).toMatchObject({ ok: false });
  });
});

describe('an issuer', () => {
  it('is the authority whose key signed it, not the one that is called the same', async () => {
    const impostor = await newAuthority('fleet');
    const leaf = await issued({ cn: 'web-01' });
    const [own, other] = [authorities(ca.cert), authorities(impostor.cert)];
    expect(issuerOf(leaf, own)).toBe(own[0]);
    expect(issuerOf(leaf, other)).toBeUndefined();
    expect(issuerOf(leaf, [...other, ...own])).toBe(own[0]);
  });

  it('is the one of two with the same key that is valid for longer', async () => {
    const keys = await newKeys();
    const old = await newAuthority('fleet', { keys, notAfter: new Date('2026-01-01') });
    const renewed = await newAuthority('fleet', { keys, notAfter: new Date('2056-01-01') });
    const both = authorities(old.cert, renewed.cert);
    const leaf = await issued({ cn: 'web-01' }, old);
    expect(issuerOf(leaf, both)?.notAfter).toBe(Date.parse('2056-01-01'));
  });

  it('must be an authority, and so must everything in its file', async () => {
    const leaf = await ca.issue({ cn: 'web-01' });
    expect(readAuthorities(`${ca.cert}${leaf.cert}`)).toEqual({
      ok: false,
      detail: 'CN=web-01 is no certificate authority',
    });
    expect(readAuthorities(`${ca.cert}${leaf.key}`)).toMatchObject({
      ok: false,
      detail: 'it holds a PRIVATE KEY, not only certificates',
    });
  });
});
