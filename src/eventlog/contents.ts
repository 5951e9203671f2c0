/** The declarations that log rows name by hash, out of the artifact table. */
import type { Sql } from '../db/driver.ts';
import { textArray } from '../db/literals.ts';
import type { FleetContent, ManifestContent } from '../reducer/content.ts';
import { decodeFleetContent, decodeManifestContent } from '../wire/content.ts';

/** Stored content of artifacts by hash; hashes without one are absent. */
export async function readContents(
  sql: Sql,
  hashes: readonly string[],
): Promise<ReadonlyMap<string, unknown>> {
  if (hashes.length === 0) return new Map();
  const rows = await sql<{ hash: string; content: unknown }[]>`
    SELECT DISTINCT ON (hash) hash, content FROM artifact
    WHERE hash = ANY(${textArray(hashes)}::text[]) ORDER BY hash, verified_at DESC`;
  return new Map(rows.map((row) => [row.hash, row.content]));
}

/** A lookup that throws for what is not there, naming it. */
export function contentGetter(contents: ReadonlyMap<string, unknown>): (hash: string) => unknown {
  return (hash) => {
    if (contents.has(hash)) return contents.get(hash);
    throw new Error(`the artifact ${hash} is not in the artifact table`);
  };
}

export interface Declarations {
  readonly fleet: FleetContent;
  readonly manifests: readonly ManifestContent[];
}

/** A fleet and its manifests by hash; rejects when one is missing or unreadable. */
export async function readDeclarations(
  sql: Sql,
  fleetHash: string,
  manifestHashes: readonly string[],
): Promise<Declarations> {
  const content = contentGetter(await readContents(sql, [fleetHash, ...manifestHashes]));
  return {
    fleet: decodeFleetContent(fleetHash, content(fleetHash)),
    manifests: manifestHashes.map((hash) => decodeManifestContent(hash, content(hash))),
  };
}
