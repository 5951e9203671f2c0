/**
 * Certificates that a proxy forwards (RFC 9440): a proxy that terminates TLS saw the client prove that it holds the
 * key, and says in a header which certificate it was. That word is taken on a listener of its own only, from
 * addresses that are configured, of proxies that prove themselves; and the certificate is judged here as if it had
 * come in a handshake. Anywhere else the header is an attempt, and refused.
 *
 * Client-Cert-Chain is not read: a certificate must be issued by an authority that is configured itself.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { KeptMaterial } from '../listen/files.ts';
import { MAX_CERTIFICATE_BYTES } from '../../trust/certificate.ts';
import { Refusal } from '../refusal.ts';
import type { Certificates } from './certificates.ts';
import type { Way } from './identity.ts';

const HEADER = 'client-cert';
const SECRET_HEADER = 'x-muster-proxy-secret';
/** A Byte Sequence of RFC 8941 without parameters, and one: Node joins repeated headers by commas. */
const BYTES = /^:([A-Za-z0-9+/]+={0,2}):$/;
const MAX_HEADER = Math.ceil((MAX_CERTIFICATE_BYTES * 4) / 3) + 4;

export interface ForwardedOptions {
  readonly certificates: Certificates;
  readonly material: KeptMaterial;
  /** There is a listener for proxies. */
  readonly takes: boolean;
  /** Came over the listener for proxies. */
  readonly isProxied: (request: FastifyRequest) => boolean;
  /** Over a connection whose proxy has to prove itself anew. */
  readonly isOutdated: (request: FastifyRequest) => boolean;
}

export function forwardedIdentity(options: ForwardedOptions): Way {
  const { certificates, material, takes, isProxied, isOutdated } = options;
  return {
    hint: takes ? 'come through a proxy that forwards your certificate' : '',
    identify(request) {
      const { headers } = request;
      if (!isProxied(request)) {
        if (headers[HEADER] === undefined && headers['client-cert-chain'] === undefined)
          return null;
        throw refuse('Client-Cert is believed of proxies only, on the listener that is theirs');
      }
      if (isOutdated(request)) throw connectAgain();
      const secret = material.current.proxySecret;
      if (secret !== null && !isSame(secret, headers[SECRET_HEADER]))
        throw refuse(`the proxy does not prove itself: ${SECRET_HEADER} is absent or wrong`);
      const forwarded = headers[HEADER];
      if (forwarded === undefined) return null;
      return certificates.identityOf(certificates.read(derOf(forwarded)));
    },
  };
}

function derOf(header: string | string[]): Buffer {
  const base64 =
    typeof header === 'string' && header.length <= MAX_HEADER ? BYTES.exec(header)?.[1] : undefined;
  if (base64 !== undefined) return Buffer.from(base64, 'base64');
  throw refuse('Client-Cert is not one certificate as :base64 of its DER:, as RFC 9440 has it');
}

/** Hashes are of one length, and compared in constant time. */
function isSame(secret: string, given: string | string[] | undefined): boolean {
  if (typeof given !== 'string') return false;
  const hash = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(secret), hash(given));
}

/** No fault of who is behind the proxy: the next connection shows whether it is still one. */
function connectAgain(): Refusal {
  const detail =
    'the authority of the proxies was replaced; send the same again on a new connection';
  const more = { retryAfterSecs: 1, why: 'proxy-authority', endsConnection: true };
  return new Refusal('not-accepted', detail, more);
}

function refuse(why: string): Refusal {
  return new Refusal('unauthenticated', why, { proof: 'forwarded' });
}
