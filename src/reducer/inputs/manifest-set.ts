/**
 * A newly verified set of manifests: what every channel declares from now on. Rollouts already opened keep
 * what was pinned; only their signature's age is refreshed.
 *
 * A set that is older than the one in force is refused here too. The worker that sent it saw nothing newer when
 * it verified it, but may have been stopped since, while another worked in its place.
 */
import type { ChannelContent, FleetContent, ManifestContent } from '../content.ts';
import type { ManifestSetInput } from '../input.ts';
import type { Verdict } from '../log.ts';
import type { Pass } from '../pass.ts';
import type { Change } from '../state/change.ts';
import type { Sliced } from '../slices.ts';
import { setContent } from '../state/rows-io.ts';
import { refuseWhole } from './refusals.ts';

export function* onManifestSet(pass: Pass, input: ManifestSetInput): Sliced<Verdict> {
  const { fleet, manifests } = input;
  pass.begin({
    kind: 'manifest_set',
    payload: {
      fleetHash: fleet.hash,
      signedAt: fleet.signedAt,
      ref: fleet.ref,
      manifests: manifests.map(({ rolloutId, hash }) => ({ rolloutId, hash })),
    },
  });
  const inForce = pass.state.fleet.signedAt;
  if (inForce !== null && fleet.signedAt < inForce) {
    const detail = `signed at ${fleet.signedAt}, before the set in force, of ${inForce}`;
    return refuseWhole(pass, 'rollback', detail);
  }
  const changes = [
    ...fleetChanges(pass, fleet),
    ...channelChanges(pass, fleet, manifests),
    ...resigned(pass, manifests),
  ];
  yield;
  setContent(pass.state, fleet, manifests);
  pass.state.dirty.all = true;
  yield;
  if (changes.length === 0) return { status: 'noop' };
  pass.write(changes);
  return { status: 'applied' };
}

function fleetChanges(pass: Pass, fleet: FleetContent): Change[] {
  const { fleetHash, signedAt, ref } = pass.state.fleet;
  if (fleetHash === fleet.hash && signedAt === fleet.signedAt && ref === fleet.ref) return [];
  return [{ t: 'fleet', set: { fleetHash: fleet.hash, signedAt: fleet.signedAt, ref: fleet.ref } }];
}

function channelChanges(
  pass: Pass,
  fleet: FleetContent,
  manifests: readonly ManifestContent[],
): Change[] {
  const declaring = new Set<string>();
  for (const host of fleet.hosts.values())
    if (host.closureHash !== null) declaring.add(host.channel);
  const names = new Set([...fleet.channels.keys(), ...pass.state.channels.keys()]);
  return [...names].sort().flatMap((name) => {
    const content = fleet.channels.get(name);
    const ref = content !== undefined && declaring.has(name) ? fleet.ref : null;
    return channelChange(pass, name, content, ref, manifests);
  });
}

function channelChange(
  pass: Pass,
  channel: string,
  content: ChannelContent | undefined,
  declaredRef: string | null,
  manifests: readonly ManifestContent[],
): Change[] {
  const manifest = manifests.find((m) => m.channel === channel && m.channelRef === declaredRef);
  const set = {
    declaredRef,
    freshnessWindow: content?.freshnessWindow ?? 0,
    manifestHash: manifest?.hash ?? null,
    signedAt: manifest?.signedAt ?? null,
  };
  const row = pass.state.channels.get(channel);
  const same =
    row?.freshnessWindow === set.freshnessWindow &&
    row.declaredRef === set.declaredRef &&
    row.manifestHash === set.manifestHash &&
    row.signedAt === set.signedAt;
  if (same) return [];
  const isTold = content === undefined && row?.freshnessWindow === 0;
  const undeclaredAt = isTold ? row.undeclaredAt : content === undefined ? pass.at : null;
  return [{ t: 'channel', channel, set: { ...set, undeclaredAt } }];
}

function resigned(pass: Pass, manifests: readonly ManifestContent[]): Change[] {
  return manifests.flatMap(({ rolloutId, hash, signedAt }): Change[] => {
    const row = pass.state.rollouts.get(rolloutId)?.row;
    if (row === undefined || (row.manifestHash === hash && row.signedAt === signedAt)) return [];
    return [{ t: 'rollout', rolloutId, set: { manifestHash: hash, signedAt } }];
  });
}
