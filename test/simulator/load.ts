/** The state that a term begins with, and begins anew with after a doubt: what is committed, and the set in force. */
import { restore, setContent } from '../../src/reducer/state/rows-io.ts';
import type { FleetState } from '../../src/reducer/state/state.ts';
import { decodeFleetContent, decodeManifestContent } from '../../src/wire/content.ts';
import type { Process } from './process.ts';

export function loadState({ world: { db } }: Process): { state: FleetState; headHash: Uint8Array } {
  const { tables } = db.data;
  const state = restore(tables.rows(db.headSeq, db.lastTs));
  const { fleetHash } = tables.fleet;
  if (fleetHash !== null) {
    const hashes = [...tables.channels.values()].flatMap((channel) => channel.manifestHash ?? []);
    const content = db.contents([fleetHash, ...hashes]);
    setContent(
      state,
      decodeFleetContent(fleetHash, content(fleetHash)),
      hashes.map((hash) => decodeManifestContent(hash, content(hash))),
    );
  }
  return { state, headHash: db.headHash };
}
