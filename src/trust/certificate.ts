/**
 * What an X.509 certificate says, as far as identity depends on it, and whether it may speak for a client.
 *
 * Names and extensions are read by @peculiar/x509, which gives them as values: Node's own X509Certificate gives
 * texts that one would have to take apart. Signatures are OpenSSL's to check, through Node.
 *
 * A certificate must be issued by one of the authorities directly. Paths over intermediate certificates that a
 * client brings along are not built: a resumed TLS session does not bring them, and an authority that may
 * issue identities deserves to be named by whoever runs this.
 */
import 'reflect-metadata'; // before x509, which injects its parts by it
import { X509Certificate } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509Certificate as ParsedCertificate,
} from '@peculiar/x509';
import type { Decoded } from './shape.ts';
import { formatTime } from './time.ts';

export interface Certificate {
  readonly dnsNames: readonly string[];
  readonly commonNames: readonly string[];
  readonly organisationalUnits: readonly string[];
  /** ms since the epoch, as are all instants here: when it was issued, as far as anyone can know. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** For messages: its subject as text. */
  readonly subject: string;
  readonly native: X509Certificate;
  /** Why no client may prove itself by it, whoever issued it and whatever the time; undefined if it may. */
  readonly unfit: string | undefined;
  /** May issue others. */
  readonly isAuthority: boolean;
}

/** Shorter RSA keys are within reach of those with means. */
const LEAST_RSA_BITS = 2_048;
const CURVES: ReadonlySet<string> = new Set(['prime256v1', 'secp384r1', 'secp521r1']);
const HASHES: ReadonlySet<string> = new Set(['SHA-256', 'SHA-384', 'SHA-512']);
/** Signatures that need no hash to be named. */
const PURE: ReadonlySet<string> = new Set(['Ed25519', 'Ed448', 'EdDSA']);
/** What is looked at here, and so may be critical: basicConstraints, keyUsage, extKeyUsage, subjectAltName. */
const UNDERSTOOD: ReadonlySet<string> = new Set([
  '2.5.29.19',
  '2.5.29.15',
  '2.5.29.37',
  '2.5.29.17',
]);

/** Larger is nothing that a certificate authority makes for a host. */
export const MAX_CERTIFICATE_BYTES = 16 * 1024;

export function readCertificate(der: Uint8Array): Decoded<Certificate> {
  if (der.byteLength > MAX_CERTIFICATE_BYTES) return no('it is larger than 16 KiB');
  try {
    const native = new X509Certificate(der);
    if (native.raw.length !== der.byteLength) return no('something follows it');
    return { ok: true, value: factsOf(native, new ParsedCertificate(der)) };
  } catch (error) {
    return no(error instanceof Error ? error.message : String(error));
  }
}

/** Every certificate of a PEM text, in order; other blocks are an error, for they belong elsewhere. */
export function readCertificates(pem: string): Decoded<readonly Certificate[]> {
  const certificates: Certificate[] = [];
  for (const block of PemConverter.decodeWithHeaders(pem)) {
    if (block.type !== 'CERTIFICATE') return no(`it holds a ${block.type}, not only certificates`);
    const read = readCertificate(new Uint8Array(block.rawData));
    if (!read.ok) return no(`certificate ${String(certificates.length + 1)}: ${read.detail}`);
    certificates.push(read.value);
  }
  return certificates.length === 0
    ? no('it holds no certificate in PEM form')
    : { ok: true, value: certificates };
}

/**
 * The authorities of a PEM text, those that are valid longest first: of one that was renewed under its old key,
 * the new certificate counts. One that may not issue others is a mistake worth hearing of.
 */
export function readAuthorities(pem: string): Decoded<readonly Certificate[]> {
  const read = readCertificates(pem);
  if (!read.ok) return read;
  const leaf = read.value.find(({ isAuthority }) => !isAuthority);
  if (leaf !== undefined) return no(`${leaf.subject} is no certificate authority`);
  return { ok: true, value: read.value.toSorted((a, b) => b.notAfter - a.notAfter) };
}

/** The first of `authorities` that issued it; undefined when none did. Dates are the caller's to look at. */
export function issuerOf(
  { native }: Certificate,
  authorities: readonly Certificate[],
): Certificate | undefined {
  return authorities.find(
    (authority) =>
      native.checkIssued(authority.native) && native.verify(authority.native.publicKey),
  );
}

/** Two certificates of one authority, such as before and after its renewal. */
export function hasSameKey(one: Certificate, other: Certificate): boolean {
  return one.native.publicKey.equals(other.native.publicKey);
}

/** Why it is not valid at `now`; undefined if it is. */
export function outOfDate(
  { notBefore, notAfter }: Pick<Certificate, 'notBefore' | 'notAfter'>,
  now: number,
): string | undefined {
  if (now < notBefore) return `not valid before ${formatTime(notBefore)}: check the clocks`;
  return now > notAfter ? `expired ${formatTime(notAfter)}: renew it` : undefined;
}

function factsOf(native: X509Certificate, parsed: ParsedCertificate): Certificate {
  const names = parsed.getExtension(SubjectAlternativeNameExtension)?.names.items ?? [];
  return {
    dnsNames: names.flatMap(({ type, value }) => (type === 'dns' ? [value] : [])),
    commonNames: parsed.subjectName.getField('CN'),
    organisationalUnits: parsed.subjectName.getField('OU'),
    notBefore: parsed.notBefore.getTime(),
    notAfter: parsed.notAfter.getTime(),
    subject: parsed.subject === '' ? 'a certificate without a subject' : parsed.subject,
    native,
    unfit: unfitness(native, parsed),
    isAuthority: native.ca,
  };
}

function unfitness(native: X509Certificate, parsed: ParsedCertificate): string | undefined {
  const types = parsed.extensions.map(({ type }) => type);
  if (new Set(types).size < types.length) return 'it has an extension twice';
  const odd = parsed.extensions.find(({ critical, type }) => critical && !UNDERSTOOD.has(type));
  if (odd !== undefined) return `its critical extension ${odd.type} is not understood here`;
  if (native.ca || parsed.getExtension(BasicConstraintsExtension)?.ca === true)
    return 'it is a certificate authority, and no client';
  const usages = parsed.getExtension(ExtendedKeyUsageExtension)?.usages ?? [];
  if (!usages.includes(ExtendedKeyUsage.clientAuth))
    return 'its extended key usage lacks clientAuth';
  const usage = parsed.getExtension(KeyUsagesExtension)?.usages;
  if (usage !== undefined && (usage & KeyUsageFlags.digitalSignature) === 0)
    return 'its key usage lacks digitalSignature';
  return weakness(native, parsed);
}

function weakness(native: X509Certificate, parsed: ParsedCertificate): string | undefined {
  const { name } = parsed.signatureAlgorithm;
  const hashName = hashOf(parsed.signatureAlgorithm);
  if (!PURE.has(name) && !HASHES.has(hashName))
    return `it is signed with ${name} and ${hashName}; sign it with SHA-256`;
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = native.publicKey;
  if (type === 'ed25519' || type === 'ed448') return undefined;
  if (type === 'ec' && CURVES.has(details?.namedCurve ?? '')) return undefined;
  const bits = details?.modulusLength ?? 0;
  if ((type === 'rsa' || type === 'rsa-pss') && bits >= LEAST_RSA_BITS) return undefined;
  return 'its key is too weak, or of an unknown kind; use P-256, Ed25519 or RSA of 2048 bits';
}

/** Its type says that there always is a hash; for Ed25519 there is none. */
function hashOf({ hash }: { readonly hash?: { readonly name: string } }): string {
  return hash?.name ?? 'an unknown hash';
}

function no(detail: string): { readonly ok: false; readonly detail: string } {
  return { ok: false, detail };
}
