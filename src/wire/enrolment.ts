/** Enrolment and renewal on the wire. */
import { Type, type Static } from '@sinclair/typebox';
import { HostnameSchema } from './ids.ts';
import { TimeSchema } from './instant.ts';

const CsrPem = Type.String({
  description:
    'PKCS #10 in PEM, at most 16 KiB, signed by its key: P-256, Ed25519, or RSA of 2048 to 4096 bits. It names the host, with or without the suffix of the fleet, and nothing else.',
});

export const TokenSchema = Type.Object({
  version: Type.Literal(1),
  claims: Type.Object({
    hostname: HostnameSchema,
    expectedPubkeyFingerprint: Type.String({
      description: "Base64 SHA-256 of the key's SubjectPublicKeyInfo in DER.",
    }),
    issuedAt: TimeSchema,
    expiresAt: TimeSchema,
    nonce: Type.String({ description: 'Single use; on the signed list bootstrap-nonces.json.' }),
  }),
  signature: Type.String({
    description: 'Base64 signature of the organisation root over the RFC 8785 bytes of `claims`.',
  }),
});

const EXAMPLE_CSR =
  '-----BEGIN CERTIFICATE REQUEST-----\nMIH…\n-----END CERTIFICATE REQUEST-----\n';

export const EnrolRequestSchema = Type.Object(
  { token: TokenSchema, csrPem: CsrPem },
  {
    examples: [
      {
        token: {
          version: 1,
          claims: {
            hostname: 'web-01',
            expectedPubkeyFingerprint: '3q2+7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=',
            issuedAt: '2026-05-16T01:00:00Z',
            expiresAt: '2026-05-17T01:00:00Z',
            nonce: '6f1c2a',
          },
          signature: 'c2lnbmF0dXJl',
        },
        csrPem: EXAMPLE_CSR,
      },
    ],
  },
);

export const RenewRequestSchema = Type.Object(
  { csrPem: CsrPem },
  { examples: [{ csrPem: EXAMPLE_CSR }] },
);

export const CertificateAnswerSchema = Type.Object(
  {
    certPem: Type.String({ description: 'The certificate, PEM.' }),
    notAfter: Type.String({ description: 'When it ends; RFC 3339, UTC.' }),
  },
  {
    examples: [
      {
        certPem: '-----BEGIN CERTIFICATE-----\nMIIB…\n-----END CERTIFICATE-----\n',
        notAfter: '2026-06-15T01:27:01.000Z',
      },
    ],
  },
);
export type CertificateAnswer = Static<typeof CertificateAnswerSchema>;
