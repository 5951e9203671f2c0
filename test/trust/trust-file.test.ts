import { describe, expect, it } from 'vitest';
import { decodeTrust } from '../../src/trust/trust-file.ts';
import { generateKey } from '../../src/trust/sign.ts';
import { verifyFleet } from '../../src/trust/verify.ts';
import { bytesOf, fixture, fleetDocument, NOW, reasonOf, signed, trustOf } from './support.ts';

const [old, next] = [generateKey('ecdsa-p256').key, generateKey('ed25519').key];
const entry = (key: typeof old) => ({ algorithm: key.algorithm, public: key.public });
const file = (ciReleaseKey: object, more: object = {}) => ({
  schemaVersion: 1,
  ciReleaseKey,
  ...more,
});

function detailOf(value: unknown): string {
  const decoded = decodeTrust(bytesOf(value));
  return decoded.ok ? 'ok' : decoded.detail;
}

function verdict(key: typeof old, ciReleaseKey: object): string {
  return reasonOf(
    verifyFleet(signed(fleetDocument(), key), { trust: trustOf(file(ciReleaseKey)), now: NOW }),
  );
}

describe('decodeTrust', () => {
  it('reads the fixture: current before previous, rejectBefore, root key', () => {
    const decoded = decodeTrust(fixture('trust.json'));
    if (!decoded.ok) throw new Error(decoded.detail);
    expect(decoded.value.releaseKeys.map((key) => key.algorithm)).toEqual([
      'ed25519',
      'ecdsa-p256',
    ]);
    expect(decoded.value.rejectBefore).toBe(Date.parse('2026-01-01T00:00:00Z'));
    expect(decoded.value.orgRootKeys).toHaveLength(1);
  });

  it('takes null for absent, and ignores fields that it does not know', () => {
    const trust = trustOf(
      file(
        { current: entry(next), previous: null, rejectBefore: null },
        { cacheKeys: ['anything'], orgRootKey: null, later: 1 },
      ),
    );
    expect(trust).toEqual({
      releaseKeys: [expect.objectContaining({ algorithm: 'ed25519' })],
      orgRootKeys: [],
    });
  });

  it('skips unknown algorithms, as long as one usable key is left', () => {
    const future = { algorithm: 'ml-dsa-65', public: 'whatever' };
    expect(trustOf(file({ current: future, previous: entry(old) })).releaseKeys).toHaveLength(1);
    expect(detailOf(file({ current: future }))).toMatch(/no usable key/);
    expect(detailOf(file({}))).toMatch(/no usable key/);
  });

  it('does not skip a broken key of a known algorithm', () => {
    const broken = { algorithm: 'ed25519', public: 'AAAA' };
    expect(detailOf(file({ current: broken, previous: entry(old) }))).toMatch(
      /ciReleaseKey\.current\.public: a public key of ed25519 is 32 bytes/,
    );
    expect(detailOf(file({ current: entry(next) }, { orgRootKey: { current: broken } }))).toMatch(
      /orgRootKey\.current\.public/,
    );
  });

  it('names the field that is wrong', () => {
    expect(detailOf({ ...file({ current: entry(next) }), schemaVersion: 2 })).toMatch(
      /schemaVersion/,
    );
    expect(detailOf({ schemaVersion: 1 })).toMatch(/ciReleaseKey/);
    expect(detailOf(file({ current: { algorithm: 'ed25519' } }))).toMatch(
      /ciReleaseKey\.current\.public/,
    );
    expect(detailOf(file({ current: entry(next), rejectBefore: 'yesterday' }))).toMatch(
      /rejectBefore/,
    );
    expect(detailOf([])).toMatch(/the document/);
  });

  it('is strict JSON: with two keys of one name nobody knows which one is trusted', () => {
    const twice = Buffer.from('{"schemaVersion":1,"ciReleaseKey":{},"ciReleaseKey":{}}');
    const decoded = decodeTrust(twice);
    expect(decoded.ok ? 'ok' : decoded.detail).toMatch(/twice/);
  });
});

describe('key rotation', () => {
  it('accepts both keys while both are named, and then only the new one', () => {
    const both = { current: entry(next), previous: entry(old) };
    expect(verdict(old, { current: entry(old) })).toBe('ok');
    expect(verdict(next, { current: entry(old) })).toBe('bad-signature');
    expect([verdict(old, both), verdict(next, both)]).toEqual(['ok', 'ok']);
    expect(verdict(old, { current: entry(next) })).toBe('bad-signature');
    expect(verdict(next, { current: entry(next) })).toBe('ok');
  });

  it('goes by the key, never by what the artifact says of its algorithm', () => {
    const document = fleetDocument();
    const claims = {
      ...document,
      meta: { signedAt: '2026-11-01T12:00:00Z', signatureAlgorithm: 'none' },
    };
    const trust = trustOf(file({ current: entry(old) }));
    expect(reasonOf(verifyFleet(signed(claims, old), { trust, now: NOW }))).toBe('ok');
  });

  it('rejects by date whatever was signed before rejectBefore, to the second', () => {
    const at = (rejectBefore: string) => verdict(next, { current: entry(next), rejectBefore });
    expect(at('2026-11-01T12:00:00Z')).toBe('ok');
    expect(at('2026-11-01T12:00:01Z')).toBe('rejected-before');
  });
});
