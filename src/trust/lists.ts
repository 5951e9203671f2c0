/** The two signed lists beside the fleet: revoked certificates, and nonces that may enrol. */
import { type Static, Type } from '@sinclair/typebox';
import type { Json } from './json.ts';
import { type Decoded, decoder, Hostname, Meta, Name, Text } from './shape.ts';
import { parseTime } from './time.ts';

const Revocation = Type.Object({
  hostname: Hostname,
  notBefore: Name,
  reason: Type.Optional(Text),
  revokedBy: Type.Optional(Text),
});
const RevocationsDocument = Type.Object({
  schemaVersion: Type.Literal(1),
  revocations: Type.Array(Revocation),
  meta: Meta,
});
/** `notBefore` is `2026-05-16T01:27:01.000Z`: a certificate of the host issued before it is refused. */
export type Revocations = Static<typeof RevocationsDocument>;

const Nonce = Type.Object({ nonce: Name, hostname: Type.Optional(Hostname), expiresAt: Name });
const NoncesDocument = Type.Object({
  schemaVersion: Type.Literal(1),
  nonces: Type.Array(Nonce),
  meta: Meta,
});
/** `expiresAt` is `2026-05-16T01:27:01.000Z`. */
export type BootstrapNonces = Static<typeof NoncesDocument>;

const decodeRevocationsDocument = decoder(RevocationsDocument);
const decodeNoncesDocument = decoder(NoncesDocument);

// Both lists are required, though empty ones are fine: a document without its list is a wrong document,
// and reading it as "nobody is revoked" would fail open.

export function decodeRevocations(json: Json): Decoded<Revocations> {
  const decoded = decodeRevocationsDocument(json);
  return decoded.ok ? withUtc(decoded.value, decoded.value.revocations, 'notBefore') : decoded;
}

export function decodeNonces(json: Json): Decoded<BootstrapNonces> {
  const decoded = decodeNoncesDocument(json);
  return decoded.ok ? withUtc(decoded.value, decoded.value.nonces, 'expiresAt') : decoded;
}

/** Brings one time field of every entry to UTC with three decimals, in place: they are compared as text. */
function withUtc<D, F extends string>(
  document: D,
  entries: Record<F, string>[],
  field: F,
): Decoded<D> {
  for (const [index, entry] of entries.entries()) {
    const ms = parseTime(entry[field]);
    if (ms === undefined)
      return { ok: false, detail: `${field} of entry ${String(index)} is not an RFC 3339 time` };
    entry[field] = new Date(ms).toISOString();
  }
  return { ok: true, value: document };
}
