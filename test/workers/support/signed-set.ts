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

/** All of its documents are signed at one instant. */
export function setFiles(change: { readonly signedAt?: string }): ReadonlyMap<string, Uint8Array> {
  const { signedAt = SIGNED_AT } = change;
  const fleet = signed(fleetDocument({ meta: meta({ signedAt }) }));
  const verified = verifyFleet(fleet, { trust, now: Date.parse(signedAt) });
  if (!verified.ok) throw new Error(verified.detail);
  const files = new Map<string, Uint8Array>();
  const add = (name: string, { bytes, sig }: typeof fleet): void => {
    files.set(`${name}.json`, bytes);
    files.set(`${name}.json.sig`, sig);
  };
  add('fleet.resolved', fleet);
  for (const channel of ['edge', 'stable']) {
    const document = manifestDocument(channel, verified.artifact.hash, {
      meta: meta({ signedAt }),
    });
    add(`rollouts/${channel}@${REF}`, signed(document));
  }
  return files;
}
