/**
 * Whom a certificate makes of its holder. Which authority issued it says what kind: the fleet's makes agents, the
 * operators' makes operators, and nothing that is written into a certificate can change that.
 *
 * An agent's host is the certificate's dNSName, or its common name where it has none, less the configured suffix.
 * A certificate that names two hosts, or none, is nobody's: an authority looked at one name before it signed, and
 * which one is not known here. An operator is its common name; its organisational unit may be a role.
 */
import { issuerOf, type Certificate } from '../../trust/certificate.ts';
import { fingerprintOf } from '../../trust/request.ts';
import { isHostname, OPERATOR_NAME } from '../../wire/ids.ts';
import { OPERATOR_ROLES, type OperatorRole } from '../../wire/role.ts';
import type { Identity } from './identity.ts';

export interface Authorities {
  readonly fleet: readonly Certificate[];
  readonly operators: readonly Certificate[];
}

export interface Holder {
  readonly identity: Identity;
  /** Of the certificate, for messages. */
  readonly subject: string;
  /** When the certificate was issued, ms. */
  readonly issuedAt: number;
  /** When it and its authority are valid both, ms. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** A sentence says why it is nobody's. */
export type Held =
  { readonly ok: true; readonly holder: Holder } | { readonly ok: false; readonly why: string };

export function holderOf(
  certificate: Certificate,
  { fleet, operators }: Authorities,
  hostnameSuffix: string,
): Held {
  if (certificate.unfit !== undefined) return no(certificate, certificate.unfit);
  const ofFleet = issuerOf(certificate, fleet);
  const issuer = ofFleet ?? issuerOf(certificate, operators);
  if (issuer === undefined) {
    return no(
      certificate,
      'no authority that is configured here issued it; an authority below another one is configured itself',
    );
  }
  const notBefore = Math.max(certificate.notBefore, issuer.notBefore);
  const notAfter = Math.min(certificate.notAfter, issuer.notAfter);
  const identity =
    ofFleet === undefined
      ? operatorOf(certificate, notAfter)
      : agentOf(certificate, hostnameSuffix);
  if (typeof identity === 'string') return no(certificate, identity);
  const { notBefore: issuedAt, subject } = certificate;
  return { ok: true, holder: { identity, subject, issuedAt, notBefore, notAfter } };
}

function agentOf(certificate: Certificate, suffix: string): Identity | string {
  const { dnsNames, commonNames, notBefore } = certificate;
  const hosts = new Set((dnsNames.length > 0 ? dnsNames : commonNames).map(less(suffix)));
  const [hostname] = hosts;
  if (hosts.size !== 1 || hostname === undefined)
    return `it names ${String(hosts.size)} hosts, not one`;
  if (!isHostname(hostname)) return `its name is no host name${ending(suffix)}`;
  // A dNSName and a common name that differ: which of them was looked at when it was signed?
  const other = commonNames.map(less(suffix)).find((name) => isHostname(name) && name !== hostname);
  if (other !== undefined) return `its dNSName is ${hostname}, and its common name ${other}`;
  return {
    kind: 'agent',
    hostname,
    certificate: { keyFingerprint: keyOf(certificate), notBefore },
  };
}

/** As tokens and requests name keys. */
function keyOf({ native }: Certificate): string {
  return fingerprintOf(native.publicKey.export({ type: 'spki', format: 'der' }));
}

/** Null, which is no host name, for a name without the suffix: it is of something else of that authority's. */
function less(suffix: string): (name: string) => string | null {
  return (name) => (name.endsWith(suffix) ? name.slice(0, name.length - suffix.length) : null);
}

function ending(suffix: string): string {
  return suffix === '' ? '' : ` that ends in ${suffix}`;
}

function operatorOf(certificate: Certificate, notAfter: number): Identity | string {
  const { commonNames, organisationalUnits, notBefore } = certificate;
  const [name, another] = commonNames;
  if (name === undefined || another !== undefined || !OPERATOR_NAME.test(name))
    return 'its common name is no operator name: 1 to 128 letters, digits and . @ + - _';
  const roles = OPERATOR_ROLES.filter((role) => organisationalUnits.includes(role));
  if (roles.length > 1) return `its organisational units are several roles: ${roles.join(', ')}`;
  return {
    ...{ kind: 'operator', name, role: roles[0] ?? LEAST_ROLE, via: 'certificate', channels: null },
    ...{ issuedAt: instant(notBefore), expiresAt: instant(notAfter) },
  };
}

const LEAST_ROLE: OperatorRole = 'viewer';

function instant(ms: number): string {
  return new Date(ms).toISOString();
}

function no({ subject }: Certificate, why: string): Held {
  return { ok: false, why: `the certificate ${subject} proves nothing here: ${why}` };
}
