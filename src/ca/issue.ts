/**
 * Makes certificates for hosts. All that one says is said here: the name, that it is for clients and no authority,
 * from when to when. Of a request only the key is taken over.
 */
import 'reflect-metadata'; // before x509, which injects its parts by it
import { X509Certificate as NativeCertificate, webcrypto } from 'node:crypto';
import {
  AsnEcSignatureFormatter,
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  type Extension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { type Authority, readAuthority } from './authority.ts';
import { type Signer, SignerError } from './signer.ts';

export interface Order {
  /** The name to certify, suffix included. */
  readonly name: string;
  /** Public key, DER. */
  readonly spki: Uint8Array;
  /** Hex. */
  readonly serial: string;
  /** RFC 3339, whole seconds: a certificate has no fractions. */
  readonly notBefore: string;
  readonly notAfter: string;
}

export interface Issuer {
  /** PEM. Rejects with a `SignerError` or an `AuthorityError`, whose messages are for operators. */
  issue(order: Order): Promise<string>;
  /** When the authority's own certificate ends, ms: none that it issues lasts longer. */
  endsAt(): Promise<number>;
}

/** X.520's bound on common names; a longer name stands in the subjectAltName alone. */
const MAX_COMMON_NAME = 64;

export function createIssuer(certFile: string, signer: Signer): Issuer {
  return {
    async issue(order) {
      const authority = await readAuthority(certFile);
      const certificate = await build(order, authority, signer);
      const native = new NativeCertificate(Buffer.from(certificate.rawData));
      mustBe(native, order, authority);
      return `${certificate.toString('pem')}\n`;
    },
    async endsAt() {
      const { certificate } = await readAuthority(certFile);
      return certificate.notAfter.getTime();
    },
  };
}

async function build(order: Order, authority: Authority, signer: Signer) {
  const { name, spki, serial, notBefore, notAfter } = order;
  const publicKey = await authority.certificate.publicKey.export();
  return X509CertificateGenerator.create(
    {
      serialNumber: serial,
      issuer: authority.certificate.subjectName,
      ...(name.length > MAX_COMMON_NAME ? {} : { subject: [{ CN: [name] }] }),
      notBefore: new Date(notBefore),
      notAfter: new Date(notAfter),
      publicKey: spki,
      // Its kind is all that is asked of it: the signer has the private half.
      signingKey: publicKey,
      signingAlgorithm: { name: publicKey.algorithm.name, hash: 'SHA-256' },
      extensions: await extensionsFor(order, authority),
    },
    signingWith((tbs) => signer.sign({ tbs, name, serial, notBefore, notAfter }, authority)),
  );
}

async function extensionsFor(
  { name, spki }: Order,
  { certificate }: Authority,
): Promise<Extension[]> {
  const own = certificate.getExtension(SubjectKeyIdentifierExtension);
  return [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth]),
    // Critical where there is no subject beside it (RFC 5280).
    new SubjectAlternativeNameExtension(
      [{ type: 'dns', value: name }],
      name.length > MAX_COMMON_NAME,
    ),
    await SubjectKeyIdentifierExtension.create(spki),
    ...(own === null ? [] : [new AuthorityKeyIdentifierExtension(own.keyId)]),
  ];
}

/** Web Crypto, but for signing: the library makes the bytes, and somebody else signs them. */
function signingWith(sign: (tbs: Uint8Array) => Promise<Uint8Array>): webcrypto.Crypto {
  const subtle = new Proxy(webcrypto.subtle, {
    get(target, method) {
      if (method === 'sign') {
        return async (algorithm: webcrypto.Algorithm, _key: unknown, tbs: ArrayBuffer) =>
          asWebCrypto(algorithm, await sign(new Uint8Array(tbs)));
      }
      return bound(target, method);
    },
  });
  return new Proxy(webcrypto, {
    get(target, part) {
      if (part === 'subtle') return subtle;
      return bound(target, part);
    },
  });
}

function bound(target: object, member: string | symbol): unknown {
  const found: unknown = Reflect.get(target, member);
  if (typeof found !== 'function') return found;
  const method: unknown = found.bind(target);
  return method;
}

/** The library takes ECDSA as r‖s, and writes it into the certificate in DER again. */
function asWebCrypto(algorithm: webcrypto.Algorithm, signature: Uint8Array): ArrayBuffer {
  const bytes = Uint8Array.from(signature).buffer;
  if (algorithm.name !== 'ECDSA') return bytes;
  try {
    const raw = new AsnEcSignatureFormatter().toWebSignature(algorithm, bytes);
    if (raw !== null) return raw;
  } catch {
    // Told below.
  }
  throw new SignerError('the signature is no ECDSA signature in DER');
}

/** Whatever a signer did: what leaves here verifies under the authority, and is for the key that was ordered. */
function mustBe(native: NativeCertificate, { spki }: Order, authority: Authority): void {
  if (!native.checkIssued(authority.native) || !native.verify(authority.native.publicKey))
    throw new SignerError('the signature does not verify under MUSTER_CA_CERT_FILE');
  const der = native.publicKey.export({ type: 'spki', format: 'der' });
  if (!Buffer.from(spki).equals(der))
    throw new SignerError('the certificate would not hold the key of the request as it was sent');
}
