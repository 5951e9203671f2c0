/** The declarations that log rows name by hash, out of the artifact table. */
import type { Sql } from '../db/driver.ts';
import { textArray } from '../db/literals.ts';
import { setContent } from '../reducer/state/rows-io.ts';
import type { FleetState } from '../reducer/state/state.ts';
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

/** Puts the declarations in force under a state, which names them by hash; rejects when one is not there. */
export async function declareContent(sql: Sql, state: FleetState): Promise<void> {
  const { fleetHash } = state.fleet;
  if (fleetHash === null) return;
  const manifests = [...state.channels.values()].flatMap((channel) => channel.manifestHash ?? []);
  const content = contentGetter(await readContents(sql, [fleetHash, ...manifests]));
  setContent(
    state,
    decodeFleetContent(fleetHash, content(fleetHash)),
    manifests.map((hash) => decodeManifestContent(hash, content(hash))),
  );
}
