/** Bootstrap tokens: whose are believed, and the first reason why not. */
import { generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { canonicalBytes } from '../../src/trust/jcs.ts';
import { type Json, type JsonObject, parseStrict } from '../../src/trust/json.ts';
import { generateKey, signToken, trustFileFor } from '../../src/trust/sign.ts';
import { verifyToken } from '../../src/trust/token.ts';
import { decodeTrust, type Trust } from '../../src/trust/trust-file.ts';

const NOW = Date.parse('2026-05-16T12:00:00Z');
const root = generateKey('ed25519').key;

function trust(more: object = {}): Trust {
  const current = { algorithm: root.algorithm, public: root.public };
  const file = {
    ...(JSON.parse(trustFileFor(generateKey('ed25519').key)) as object),
    orgRootKey: { current, ...more },
  };
  const decoded = decodeTrust(Buffer.from(JSON.stringify(file)));
  if (!decoded.ok) throw new Error(decoded.detail);
  return decoded.value;
}

const claims = {
  hostname: 'web-01',
  expectedPubkeyFingerprint: 'AAAA',
  issuedAt: '2026-05-16T11:00:00Z',
  expiresAt: '2026-05-17T11:00:00Z',
  nonce: 'n1',
};

/** Through text, as it comes. */
function token(changed: JsonObject = {}, around: JsonObject = {}): Json {
  const signed: JsonObject = { ...signToken({ ...claims, ...changed }, root), ...around };
  const parsed = parseStrict(Buffer.from(JSON.stringify(signed)));
  if (!parsed.ok) throw new Error(parsed.detail);
  return parsed.value;
}

describe('a token', () => {
  it('is believed when the root signed it and its time is now', () => {
    expect(verifyToken(token(), trust(), NOW)).toMatchObject({
      ok: true,
      claims: { hostname: 'web-01', nonce: 'n1', expiresAt: Date.parse(claims.expiresAt) },
    });
  });

  it('may say more than is read, and the signature covers it', () => {
    const more = { ...claims, ticket: 'OPS-1', nested: { b: 1, a: [true, null] } };
    expect(verifyToken(token(more), trust(), NOW).ok).toBe(true);
    const altered = { ...signToken(more, root), claims: { ...more, ticket: 'OPS-2' } };
    expect(verifyToken(altered, trust(), NOW)).toMatchObject({ reason: 'bad-token' });
  });

  const other = generateKey('ed25519').key;
  const { privateKey } = generateKeyPairSync('ed25519');
  const over = (message: Uint8Array) => sign(null, message, privateKey).toString('base64');
  it.each<[string, Json, Trust, string]>([
    ['of another root', { ...signToken(claims, other) }, trust(), 'fits no orgRootKey'],
    [
      'signed by a stranger',
      token({}, { signature: over(canonicalBytes(claims)) }),
      trust(),
      'fits no',
    ],
    ['of version 2', token({}, { version: 2 }), trust(), 'version 2'],
    ['of version "1"', token({}, { version: '1' }), trust(), 'version "1"'],
    ['without a signature', token({}, { signature: null }), trust(), 'fits no'],
    ['with base64 that is not canonical', token({}, { signature: 'AB' }), trust(), 'fits no'],
    ['that is a list', [], trust(), 'no object'],
    ['without claims', { version: 1, signature: '' }, trust(), 'no object'],
    ['of tomorrow', token({ issuedAt: '2026-05-17T00:00:00Z' }), trust(), 'yet to come'],
    ['without a host', token({ hostname: '' }), trust(), 'hostname'],
    ['for a host with a space', token({ hostname: 'a b' }), trust(), 'hostname'],
    ['with a NUL in its nonce', token({ nonce: 'a\u0000' }), trust(), 'nonce'],
    ['with a nonce as long as a book', token({ nonce: 'n'.repeat(201) }), trust(), 'nonce'],
    ['with a date that is none', token({ expiresAt: 'soon' }), trust(), 'RFC 3339'],
    [
      'issued before the switch',
      token(),
      trust({ rejectBefore: '2026-05-16T11:30:00Z' }),
      'rejectBefore',
    ],
  ])('%s is refused', (_, given, under, why) => {
    expect(verifyToken(given, under, NOW)).toMatchObject({
      ok: false,
      reason: 'bad-token',
      detail: expect.stringContaining(why) as unknown,
    });
  });

  it('that expired is refused as such, from that very instant', () => {
    const at = Date.parse(claims.expiresAt);
    expect(verifyToken(token(), trust(), at)).toMatchObject({ reason: 'token-expired' });
    expect(verifyToken(token(), trust(), at - 1).ok).toBe(true);
  });

  it('is nobody’s business where the trust file names no root', () => {
    const { orgRootKeys: _, ...rest } = trust();
    expect(verifyToken(token(), { ...rest, orgRootKeys: [] }, NOW)).toMatchObject({
      detail: expect.stringContaining('orgRootKey') as unknown,
    });
  });
});
