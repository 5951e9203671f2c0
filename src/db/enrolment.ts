/** What enrolment reads: the signed lists, entry by entry, and what was burnt. */
import type { Sql } from './driver.ts';

export interface ListedNonce {
  /** The only host that it is for; null: any. */
  readonly hostname: string | null;
  readonly expiresAt: string;
}

/**
 * The entries of a nonce in the list in force; usually one. A list that was signed before the kill switch lets
 * nobody in, though it was accepted before.
 */
export async function readNonce(sql: Sql, nonce: string): Promise<readonly ListedNonce[]> {
  return sql<ListedNonce[]>`
    SELECT n->>'hostname' AS hostname, n->>'expiresAt' AS "expiresAt"
    FROM artifact a, json_array_elements(a.content->'nonces') AS n
    WHERE a.kind = 'nonces' AND a.current AND n->>'nonce' = ${nonce}
      AND NOT EXISTS (SELECT FROM fleet WHERE reject_before > a.signed_at)`;
}

/** Whether a list of nonces was ever verified here: before that nobody can say that a nonce is on none. */
export async function hasNonces(sql: Sql): Promise<boolean> {
  const rows = await sql`SELECT FROM artifact WHERE kind = 'nonces' AND current LIMIT 1`;
  return rows.length > 0;
}

/** Certificates of this host issued before it are refused; null: it never was revoked. */
export async function readRevokedBefore(sql: Sql, hostname: string): Promise<string | null> {
  const [row] = await sql<{ at: string | null }[]>`
    SELECT max(r->>'notBefore') AS at
    FROM artifact a, json_array_elements(a.content->'revocations') AS r
    WHERE a.kind = 'revocations' AND a.current AND r->>'hostname' = ${hostname}`;
  return row?.at ?? null;
}

export interface BurntNonce {
  readonly csrHash: string;
  readonly serial: string;
  readonly notBefore: string;
  readonly notAfter: string;
}

export async function readBurnt(sql: Sql, nonce: string): Promise<BurntNonce | null> {
  const [row] = await sql<BurntNonce[]>`
    SELECT csr_hash AS "csrHash", serial, not_before AS "notBefore", not_after AS "notAfter"
    FROM enrolment WHERE nonce = ${nonce}`;
  return row ?? null;
}
