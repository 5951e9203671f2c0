/** A whole signed set as the files of a source. */
import { verifyFleet } from '../../../src/trust/verify.ts';
import {
  fleetDocument,
  manifestDocument,
  meta,
  REF,
  SIGNED_AT,
  signed,
  trust,
} from '../../trust/support.ts';

interface SetChange {
  readonly signedAt?: string;
  /** The ref that the fleet declares. */
  readonly ref?: string;
  /** Manifests of these refs too, signed again beside it. */
  readonly beside?: readonly string[];
}

/** All of its documents are signed at one instant. */
export function setFiles(change: SetChange): ReadonlyMap<string, Uint8Array> {
  const { signedAt = SIGNED_AT, ref = REF, beside = [] } = change;
  const fleet = signed(fleetDocument({ meta: meta({ signedAt, ciCommit: ref }) }));
  const verified = verifyFleet(fleet, { trust, now: Date.parse(signedAt) });
  if (!verified.ok) throw new Error(verified.detail);
  const files = new Map<string, Uint8Array>();
  const add = (name: string, { bytes, sig }: typeof fleet): void => {
    files.set(`${name}.json`, bytes);
    files.set(`${name}.json.sig`, sig);
  };
  add('fleet.resolved', fleet);
  for (const channelRef of [ref, ...beside]) {
    for (const channel of ['edge', 'stable']) {
      const document = manifestDocument(channel, verified.artifact.hash, {
        channelRef,
        meta: meta({ signedAt, ciCommit: channelRef }),
      });
      add(`rollouts/${channel}@${channelRef}`, signed(document));
    }
  }
  return files;
}
