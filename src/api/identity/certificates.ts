/**
 * Certificates as proofs of identity, whichever way they came here. What a certificate says is read once; whether
 * it holds now is asked with every request, and costs two comparisons and a look into a map: a handshake may be
 * hours old, and a resumed one older than the connection.
 */
import { createHash } from 'node:crypto';
import { TLSSocket } from 'node:tls';
import { outOfDate, readCertificate } from '../../trust/certificate.ts';
import type { Clock } from '../../telemetry.ts';
import type { FastifyRequest } from 'fastify';
import type { KeptMaterial, Material } from '../listen/files.ts';
import { Refusal } from '../refusal.ts';
import { holderOf, type Held } from './holder.ts';
import type { Identity, Way } from './identity.ts';
import type { Revocations } from './revocations.ts';

/** Certificates to remember: a large fleet's on one replica, at about a kilobyte each. */
const MOST_KNOWN = 20_000;

export interface CertificatesOptions {
  readonly material: KeptMaterial;
  readonly hostnameSuffix: string;
  readonly clock: Clock;
  readonly revocations: Revocations;
}

export class Certificates {
  private readonly material: KeptMaterial;
  private readonly suffix: string;
  private readonly clock: Clock;
  private readonly revocations: Revocations;
  /** By the hash of its bytes, under the authorities that are configured now; oldest first. */
  private known: { readonly under: Material; readonly held: Map<string, Held> };

  constructor({ material, hostnameSuffix, clock, revocations }: CertificatesOptions) {
    this.material = material;
    this.suffix = hostnameSuffix;
    this.clock = clock;
    this.revocations = revocations;
    this.known = { under: material.current, held: new Map() };
  }

  /** What was read of a certificate may be kept for as long as this stays the same. */
  get authorities(): Material {
    return this.material.current;
  }

  read(der: Uint8Array): Held {
    if (this.known.under !== this.authorities)
      this.known = { under: this.authorities, held: new Map() };
    const { held } = this.known;
    const hash = createHash('sha256').update(der).digest('base64');
    const before = held.get(hash);
    if (before !== undefined) return before;
    const certificate = readCertificate(der);
    const read: Held = certificate.ok
      ? holderOf(certificate.value, this.authorities, this.suffix)
      : { ok: false, why: `the certificate cannot be read: ${certificate.detail}` };
    const [oldest] = held.keys();
    if (held.size >= MOST_KNOWN && oldest !== undefined) held.delete(oldest);
    held.set(hash, read);
    return read;
  }

  /** Who its holder is now. Throws a Refusal where it is nobody. */
  identityOf(held: Held): Identity {
    if (!held.ok) throw refuted(held.why, 'certificate');
    const { holder } = held;
    const late = outOfDate(holder, this.clock.now());
    if (late !== undefined)
      throw refuted(`the certificate ${holder.subject} or its authority is ${late}`, 'expired');
    const { identity, issuedAt } = holder;
    if (identity.kind !== 'agent') return identity;
    const revoked = this.revocations.refusing(identity.hostname, issuedAt);
    if (revoked !== undefined) throw refuted(revoked, 'revoked');
    return identity;
  }
}

function refuted(why: string, proof: 'certificate' | 'expired' | 'revoked'): Refusal {
  return new Refusal('unauthenticated', why, { proof });
}

/** The certificate that a client, and not a proxy, presented in the TLS handshake of its connection. */
export function tlsIdentity(
  certificates: Certificates,
  isProxied: (request: FastifyRequest) => boolean,
): Way {
  const seen = new WeakMap<TLSSocket, { readonly under: Material; readonly held: Held | null }>();
  return {
    hint: 'present a client certificate of the fleet or of the operators in the TLS handshake',
    identify(request) {
      const { socket } = request.raw;
      if (!(socket instanceof TLSSocket) || isProxied(request)) return null;
      let last = seen.get(socket);
      if (last?.under !== certificates.authorities) {
        const peer = socket.getPeerX509Certificate();
        const held = peer === undefined ? null : certificates.read(peer.raw);
        last = { under: certificates.authorities, held };
        seen.set(socket, last);
      }
      return last.held === null ? null : identityOver(last.held, certificates);
    },
  };
}

/** The next connection may bring another certificate: one that does not hold was the last of this one. */
function identityOver(held: Held, certificates: Certificates): Identity {
  try {
    return certificates.identityOf(held);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new Refusal(error.code, error.message, { ...error.options, endsConnection: true });
  }
}
