import { describe, expect, it } from 'vitest';
import { generateKey, loadSigningKey, signArtifact, SigningError } from '../../src/trust/sign.ts';
import { importKey, type TrustKey, verifySignature } from '../../src/trust/signature.ts';

const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const ED25519_ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
const message = Buffer.from('{"a":1}');

function imported(algorithm: 'ed25519' | 'ecdsa-p256', publicKey: string): TrustKey {
  const result = importKey(algorithm, publicKey);
  if (!result.ok) throw new Error(result.detail);
  return result.key;
}

function big(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
}

function bytes32(value: bigint): Buffer {
  return Buffer.from(value.toString(16).padStart(64, '0'), 'hex');
}

function detailOf(result: ReturnType<typeof importKey>): string {
  return result.ok ? 'imported' : result.detail;
}

describe.each(['ed25519', 'ecdsa-p256'] as const)('%s', (algorithm) => {
  const { key, pem } = generateKey(algorithm);
  const trusted = imported(algorithm, key.public);
  const sig = signArtifact(message, key);

  it('verifies its own signatures, over the canonical bytes', () => {
    expect(sig).toHaveLength(64);
    expect(verifySignature(message, sig, trusted)).toBe(true);
    expect(verifySignature(message, signArtifact(Buffer.from('{ "a": 1.0 }'), key), trusted)).toBe(
      true,
    );
  });

  it('refuses any changed bit, other lengths and other keys', () => {
    for (let bit = 0; bit < 512; bit++) {
      const changed = Buffer.from(sig);
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(verifySignature(message, changed, trusted)).toBe(false);
    }
    for (const wrong of [
      sig.subarray(0, 63),
      Buffer.concat([sig, sig]),
      Buffer.alloc(64),
      Buffer.alloc(0),
    ]) {
      expect(verifySignature(message, wrong, trusted)).toBe(false);
    }
    const other = imported(algorithm, generateKey(algorithm).key.public);
    expect(verifySignature(message, sig, other)).toBe(false);
  });

  it('loads its own PEM again', () => {
    expect(loadSigningKey(pem)).toMatchObject({ algorithm, public: key.public });
  });

  it.each(['', 'AAAA', 'not base64 at all', Buffer.alloc(33, 1).toString('base64')])(
    'refuses the public key %j, which has the wrong length',
    (text) => {
      expect(detailOf(importKey(algorithm, text))).toMatch(/bytes in base64/);
    },
  );

  it('refuses base64 without its padding', () => {
    expect(importKey(algorithm, key.public.replace(/=+$/, '')).ok).toBe(false);
  });
});

describe('ecdsa-p256', () => {
  const { key } = generateKey('ecdsa-p256');
  const trusted = imported('ecdsa-p256', key.public);

  it('accepts both s and n - s, and neither out of range', () => {
    const sig = signArtifact(message, key);
    const [r, s] = [sig.subarray(0, 32), big(sig.subarray(32))];
    const withS = (value: bigint) => Buffer.concat([r, bytes32(value)]);
    expect(verifySignature(message, withS(P256_ORDER - s), trusted)).toBe(true);
    expect(verifySignature(message, withS(0n), trusted)).toBe(false);
    if (s + P256_ORDER < 2n ** 256n) {
      expect(verifySignature(message, withS(s + P256_ORDER), trusted)).toBe(false);
    }
  });

  it('refuses a key that is not on the curve', () => {
    const off = Buffer.alloc(64, 1).toString('base64');
    expect(detailOf(importKey('ecdsa-p256', off))).toMatch(/not a point/);
  });
});

describe('ed25519 is strict', () => {
  const { key } = generateKey('ed25519');

  it('refuses S + L, the same signature in another form', () => {
    const sig = signArtifact(message, key);
    const s = big(Buffer.from(sig.subarray(32)).reverse());
    const other = Buffer.concat([sig.subarray(0, 32), bytes32(s + ED25519_ORDER).reverse()]);
    expect(verifySignature(message, other, imported('ed25519', key.public))).toBe(false);
  });

  it.each([
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0000000000000000000000000000000000000000000000000000000000000080',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
  ])('refuses the weak key %s', (hex) => {
    const result = importKey('ed25519', Buffer.from(hex, 'hex').toString('base64'));
    expect(detailOf(result)).toMatch(/small order/);
  });
});

describe('loadSigningKey', () => {
  it.each(['', 'not a key', generateKey('ed25519').pem.slice(0, 60)])('refuses %j', (pem) => {
    expect(() => loadSigningKey(pem)).toThrow(SigningError);
  });
});
