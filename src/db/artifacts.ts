/**
 * Verified artifacts: exact bytes, signature and decoded content, by name and hash. One of each name is
 * current and served; older ones stay while the log names them. Written by the worker that verified them.
 */
import { byteaArray, textArray } from './literals.ts';
import type { Sql } from './driver.ts';
import type { Pool } from './pool.ts';

export type ArtifactKind = 'fleet' | 'manifest' | 'revocations' | 'nonces';

export interface StoredArtifact {
  readonly kind: ArtifactKind;
  /** `fleet.resolved`, or a rollout id. */
  readonly name: string;
  readonly hash: string;
  readonly bytes: Uint8Array;
  readonly signature: Uint8Array;
  /** JSON text. */
  readonly content: string;
  readonly signedAt: string;
}

/**
 * Stores the artifacts and makes each the current one of its name, in one statement's transaction. The same
 * JCS hash with other bytes replaces bytes and signature together: they belong together.
 *
 * False, and nothing is stored, when a current one is newer than what is given: a worker that was stopped while
 * it verified finds that another has gone on. Of two that store at the same instant, one fails on the index
 * that allows one current artifact of a name, and finds out when it tries again.
 */
export async function storeArtifacts(
  pool: Pool,
  artifacts: readonly StoredArtifact[],
  verifiedAt: string,
): Promise<boolean> {
  const column = (pick: (artifact: StoredArtifact) => string) => textArray(artifacts.map(pick));
  const [row] = await pool.run(
    (sql) => sql<{ overtaken: boolean }[]>`
      WITH given AS (
        SELECT * FROM unnest(
          ${column((a) => a.kind)}::text[], ${column((a) => a.name)}::text[],
          ${column((a) => a.hash)}::text[], ${byteaArray(artifacts.map((a) => a.bytes))}::bytea[],
          ${byteaArray(artifacts.map((a) => a.signature))}::bytea[],
          ${column((a) => a.content)}::text[], ${column((a) => a.signedAt)}::timestamptz[]
        ) AS g (kind, name, hash, bytes, signature, content, signed_at)
      ), newer AS (
        SELECT FROM artifact JOIN given USING (kind, name)
        WHERE artifact.current AND artifact.signed_at > given.signed_at
      ), retired AS (
        UPDATE artifact SET current = false FROM given
        WHERE artifact.kind = given.kind AND artifact.name = given.name
          AND artifact.current AND artifact.hash <> given.hash AND NOT EXISTS (SELECT FROM newer)
        RETURNING 1
      ), stored AS (
        INSERT INTO artifact (kind, name, hash, bytes, signature, content, signed_at, verified_at, current)
        SELECT kind, name, hash, bytes, signature, content::json, signed_at, ${verifiedAt}::timestamptz,
               (SELECT count(*) >= 0 FROM retired)
        FROM given WHERE NOT EXISTS (SELECT FROM newer)
        ON CONFLICT (kind, name, hash) DO UPDATE
          SET bytes = excluded.bytes, signature = excluded.signature, content = excluded.content,
              signed_at = excluded.signed_at, verified_at = excluded.verified_at, current = true
          WHERE NOT artifact.current OR artifact.bytes <> excluded.bytes
             OR artifact.signature <> excluded.signature
      )
      SELECT EXISTS (SELECT FROM newer) AS overtaken`,
  );
  return row?.overtaken === false;
}

export interface StoredRevocations {
  readonly hash: string;
  readonly content: unknown;
}

/** The current list of revocations, unless its hash is the known one. */
export async function readRevocations(
  sql: Sql,
  known: string | null,
): Promise<StoredRevocations | null> {
  const [row] = await sql<StoredRevocations[]>`
    SELECT hash, content FROM artifact
    WHERE kind = 'revocations' AND current AND hash IS DISTINCT FROM ${known}`;
  return row ?? null;
}

/** The kill switch in force; null when there is none. */
export async function readRejectBefore(pool: Pool): Promise<string | null> {
  const [row] = await pool.run(
    (sql) => sql<{ at: string | null }[]>`SELECT reject_before AS at FROM fleet`,
  );
  return row?.at ?? null;
}

export interface AcceptedArtifact {
  readonly kind: ArtifactKind;
  readonly name: string;
  readonly hash: string;
  readonly signedAt: string;
  /** The rollout of this name was opened: its manifest may change no more. */
  readonly opened: boolean;
  /** The rollout of this name was opened and has not ended: hosts may still be sent to it. */
  readonly running: boolean;
  /** Manifests only. */
  readonly contentHash: string | null;
}

export interface ToldOutcome {
  readonly artifact: string;
  /** Null: it was verified. */
  readonly reason: string | null;
  readonly hash: string | null;
}

/** A release has some tens of artifacts; what is older than this many outcomes is told once more. */
const TOLD_OUTCOMES = 1_000;

/**
 * What is told of verification, newest first, by the log and by what waits for the leader: another process may
 * have said it, and a worker that takes over from one that died with the leader comes before the next leader.
 */
export async function readToldOutcomes(pool: Pool): Promise<readonly ToldOutcome[]> {
  return pool.run(
    (sql) => sql<ToldOutcome[]>`
      SELECT payload->>'artifact' AS artifact, payload->>'reason' AS reason, payload->>'hash' AS hash
      FROM (
        SELECT true AS waits, id AS place, payload FROM input_queue WHERE kind = 'VerifyOutcome'
        UNION ALL
        (SELECT false, seq, payload FROM event_log
         WHERE kind = 'verify_outcome' AND payload->>'artifact' <> 'trust'
         ORDER BY seq DESC LIMIT ${TOLD_OUTCOMES})
      ) AS told
      ORDER BY waits DESC, place DESC`,
  );
}

export interface RefusedArtifact {
  readonly artifact: string;
  readonly reason: string;
  readonly detail: string;
  /** Since when none of this name passed. */
  readonly since: string;
}

/**
 * What of the source does not pass verification now, by the newest that was told of each artifact. A manifest that
 * never passed is forgotten with the next fleet that does; one that is rolled out is not.
 */
export async function readRefused(sql: Sql): Promise<readonly RefusedArtifact[]> {
  return sql<RefusedArtifact[]>`
    WITH told AS MATERIALIZED (
      SELECT seq, ts, (payload->>'ok')::boolean AS ok, payload->>'artifact' AS artifact,
        payload->>'reason' AS reason, payload->>'detail' AS detail
      FROM event_log WHERE kind = 'verify_outcome' ORDER BY seq DESC LIMIT ${TOLD_OUTCOMES}
    ), passed AS (
      SELECT artifact, max(seq) AS seq FROM told WHERE ok GROUP BY artifact
    )
    SELECT DISTINCT ON (artifact) artifact, reason, detail,
      min(ts) OVER (PARTITION BY artifact) AS since
    FROM told t LEFT JOIN passed p USING (artifact)
    WHERE NOT t.ok AND t.seq > coalesce(p.seq, 0)
      AND (t.artifact NOT LIKE 'rollouts/%'
        OR t.seq > coalesce((SELECT seq FROM passed WHERE artifact = 'fleet.resolved'), 0)
        OR EXISTS (SELECT FROM rollout r WHERE r.rollout_id = substr(t.artifact, 10)
                   AND r.state NOT IN ('Superseded', 'Cancelled', 'Pruned')))
    ORDER BY artifact, t.seq DESC`;
}

/** What is current, without the bytes: the memory that refuses rollbacks and mutations. */
export async function readAccepted(pool: Pool): Promise<readonly AcceptedArtifact[]> {
  return pool.run(
    (sql) => sql<AcceptedArtifact[]>`
      SELECT kind, name, hash, signed_at AS "signedAt",
             EXISTS (SELECT FROM rollout WHERE rollout_id = artifact.name) AS opened,
             EXISTS (SELECT FROM rollout WHERE rollout_id = artifact.name
                     AND state NOT IN ('Superseded', 'Cancelled', 'Pruned')) AS running,
             CASE WHEN kind = 'manifest' THEN content->>'contentHash' END AS "contentHash"
      FROM artifact WHERE current`,
  );
}
