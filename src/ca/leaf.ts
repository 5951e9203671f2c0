/**
 * Certificates that are no host's, for trials on one machine: the control plane's own, which vouches for itself, and
 * an operator's under an authority of operators. Production has them from whoever issues such certificates there.
 */
import 'reflect-metadata'; // before x509, which injects its parts by it
import { createPrivateKey, webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  type Extension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { type NewPair, newSerial, P256, pairOf } from './create.ts';

/** For a listener of this machine, and by more DNS names. Clients trust the certificate itself. */
export async function createServerCertificate(
  from: Date,
  until: Date,
  names: readonly string[] = [],
): Promise<NewPair> {
  const keys = await webcrypto.subtle.generateKey(P256, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    ...{ serialNumber: newSerial(), name: [{ CN: ['localhost'] }], notBefore: from },
    ...{ notAfter: until, keys, signingAlgorithm: P256 },
    extensions: [
      ...usedFor(ExtendedKeyUsage.serverAuth),
      new SubjectAlternativeNameExtension([
        ...['localhost', ...names].map((value) => ({ type: 'dns' as const, value })),
        { type: 'ip', value: '127.0.0.1' },
        { type: 'ip', value: '::1' },
      ]),
    ],
  });
  return pairOf(certificate, keys);
}

/** The common name is the operator, the unit the role. */
export async function createOperatorCertificate(
  authority: NewPair,
  name: string,
  role: string,
  from: Date,
  until: Date,
): Promise<NewPair> {
  const keys = await webcrypto.subtle.generateKey(P256, true, ['sign', 'verify']);
  const pkcs8 = createPrivateKey(authority.keyPem).export({ type: 'pkcs8', format: 'der' });
  const certificate = await X509CertificateGenerator.create({
    ...{ serialNumber: newSerial(), subject: [{ CN: [name] }, { OU: [role] }] },
    issuer: new X509Certificate(authority.certPem).subjectName,
    ...{ notBefore: from, notAfter: until, publicKey: keys.publicKey },
    signingKey: await webcrypto.subtle.importKey('pkcs8', pkcs8, P256, false, ['sign']),
    signingAlgorithm: P256,
    extensions: usedFor(ExtendedKeyUsage.clientAuth),
  });
  return pairOf(certificate, keys);
}

function usedFor(usage: ExtendedKeyUsage): Extension[] {
  return [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension([usage]),
  ];
}
