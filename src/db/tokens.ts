/** The statements about operators' bearer tokens, and about what a command would reach. */
import type { Sql } from './driver.ts';
import type { Moment } from './database-clock.ts';

export interface TokenProof {
  readonly tokenId: string;
  readonly name: string;
  readonly role: string;
  readonly channels: readonly string[] | null;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly hash: Buffer;
}

/** Every token with its proof; a thousand at the most. */
export async function readTokenProofs(sql: Sql): Promise<readonly TokenProof[]> {
  return sql<TokenProof[]>`
    SELECT t.token_id AS "tokenId", t.name, t.role, t.channels, t.created_at AS "createdAt",
      t.expires_at AS "expiresAt", s.hash
    FROM operator_token t JOIN operator_secret s USING (token_id)`;
}

export async function noteTokenUse(sql: Sql, tokenId: string): Promise<void> {
  await sql`
    UPDATE operator_secret SET last_used_at = clock_timestamp() WHERE token_id = ${tokenId}`;
}

export interface ListedToken {
  readonly tokenId: string;
  readonly seq: number;
  readonly name: string;
  readonly role: string;
  readonly channels: readonly string[] | null;
  readonly createdBy: string;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly lastUsedAt: string | null;
}

/** By name; a thousand at the most. */
export async function listTokens(sql: Sql): Promise<readonly ListedToken[]> {
  return sql<ListedToken[]>`
    SELECT t.token_id AS "tokenId", t.seq, t.name, t.role, t.channels, t.created_by AS "createdBy",
      t.created_at AS "createdAt", t.expires_at AS "expiresAt", s.last_used_at AS "lastUsedAt"
    FROM operator_token t LEFT JOIN operator_secret s USING (token_id)
    ORDER BY t.name, t.created_at`;
}

/** Secrets of tokens that never came to be: the command was refused. */
export async function sweepSecrets(sql: Sql, before: Moment): Promise<void> {
  await sql`
    DELETE FROM operator_secret s WHERE s.stored_at < ${before}
      AND NOT EXISTS (SELECT FROM operator_token t WHERE t.token_id = s.token_id)`;
}

/** Every channel that a command about this host reaches: its own, and those in which it is under way. */
export async function channelsOfHost(sql: Sql, hostname: string): Promise<readonly string[]> {
  const rows = await sql<{ channel: string }[]>`
    SELECT channel FROM declared_host WHERE hostname = ${hostname}
    UNION
    SELECT channel FROM host_rollout
    WHERE hostname = ${hostname} AND closed IS NULL AND state NOT IN ('Converged', 'Reverted')`;
  return rows.map(({ channel }) => channel);
}

/** The login that this session came in with, whatever it became since. */
export async function sessionUser(sql: Sql): Promise<string> {
  const [row] = await sql<{ name: string }[]>`SELECT session_user AS name`;
  return row?.name ?? 'unknown';
}
