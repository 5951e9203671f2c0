/** What a new leader starts from: the derived tables, the log's head and the declarations in force. */
import type { Sql } from '../db/driver.ts';
import { textArray } from '../db/literals.ts';
import { GENESIS } from '../eventlog/chain.ts';
import { loadState, readHead } from '../eventlog/state.ts';
import { restore, setContent } from '../reducer/state/rows-io.ts';
import type { Settings } from '../reducer/settings.ts';
import type { FleetState } from '../reducer/state/state.ts';
import { decodeFleetContent, decodeManifestContent } from '../wire/content.ts';

export interface Loaded {
  readonly state: FleetState;
  /** Hash of the last log row. */
  readonly headHash: Uint8Array;
}

/**
 * Runs in one REPEATABLE READ transaction, after the epoch was taken: from then on nobody else writes.
 * Whatever goes wrong rejects; there is no such thing as an empty state by error.
 */
export async function loadLeaderState(sql: Sql, settings: Settings): Promise<Loaded> {
  const rows = await loadState(sql);
  const head = await readHead(sql);
  const state = restore(rows, settings);
  const hashes = rows.channels.flatMap((channel) => channel.manifestHash ?? []);
  const { fleetHash } = rows.fleet;
  if (fleetHash !== null) {
    const content = await readContents(sql, [fleetHash, ...hashes]);
    const of = contentGetter(content);
    setContent(
      state,
      decodeFleetContent(fleetHash, of(fleetHash)),
      hashes.map((hash) => decodeManifestContent(hash, of(hash))),
    );
  }
  return { state, headHash: head.hash ?? GENESIS };
}

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
