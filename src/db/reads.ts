/** What readers of manifests ask for: the artifacts in force. */
import type { Sql } from './driver.ts';

/** A verified file as it is served. `version` changes whenever its bytes or its signature do. */
export interface ArtifactRow {
  version: string;
  bytes: Uint8Array;
  signature: Uint8Array;
}

/** `fleet.resolved`, or a rollout's id. */
export type ServedArtifact =
  | { readonly kind: 'fleet'; readonly name: 'fleet.resolved' }
  | { readonly kind: 'manifest'; readonly name: string };

/** The version that is served under this name now; null when there is none. */
export async function currentArtifactVersion(
  sql: Sql,
  { kind, name }: ServedArtifact,
): Promise<string | null> {
  const [row] = await sql<{ version: string }[]>`
    SELECT hash || ' ' || verified_at::text AS version FROM artifact
    WHERE kind = ${kind} AND name = ${name} AND current`;
  return row?.version ?? null;
}

export async function readCurrentArtifact(
  sql: Sql,
  { kind, name }: ServedArtifact,
): Promise<ArtifactRow | null> {
  const [row] = await sql<ArtifactRow[]>`
    SELECT hash || ' ' || verified_at::text AS version, bytes, signature FROM artifact
    WHERE kind = ${kind} AND name = ${name} AND current`;
  return row ?? null;
}

/** True once a verified fleet is in store: before, there is nothing to serve. */
export async function hasFleet(sql: Sql): Promise<boolean> {
  const rows = await sql`SELECT 1 FROM artifact WHERE kind = 'fleet' AND current LIMIT 1`;
  return rows.length > 0;
}
