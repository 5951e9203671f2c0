/**
 * What would hold the next dispatch of a host, whatever it has now: brakes of operators, and that the release which its
 * channel declares is not opened, or not for this host. The channel is the one that declares it now: a host that is new or
 * that moved is in no rollout of it yet.
 */
import { brakesOn } from '../planner/gates.ts';
import { listed, type Said } from '../planner/gates/gate.ts';
import { hasEnded } from '../rollout/states.ts';
import { isOpen } from '../host/record.ts';
import type { ChannelRow, RecordRow } from '../state/rows.ts';
import type { FleetState } from '../state/state.ts';
import type { Time } from '../time.ts';
import type { Remark } from './explain-remark.ts';

/** The commit that its channel declares waits for the rollout before it. */
export const RELEASE_WAITS = 'release-waits';

/** What its channel declares opens no rollout with this host. */
export const NO_RELEASE = 'no-release';

export interface Next extends Remark {
  readonly key: string;
  readonly since: Time | null;
  /** Where the hosts behind it stand; null: wherever this one does. */
  readonly rolloutId: string | null;
}

/** `newest`: its record in the newest rollout that has it. */
export function holdsNext(
  state: FleetState,
  hostname: string,
  newest: RecordRow | undefined,
): readonly Next[] {
  const declared = state.content?.hosts.get(hostname);
  const channel = declared?.channel ?? newest?.channel;
  if (channel === undefined) return [];
  const held = { state, host: state.hosts.get(hostname), record: { hostname, channel } };
  const brakes = brakesOn(held).map((brake) => ({ ...brake, rolloutId: null }));
  // What is declared nowhere has no next release.
  if (declared === undefined) return brakes;
  const row = state.channels.get(channel);
  const waits = row === undefined ? null : whyWaits(state, row, hostname);
  if (waits !== null) return [...brakes, waits];
  const none = whyNone(state, { hostname, ...declared }, newest);
  return none === null ? brakes : [...brakes, nextOf(NO_RELEASE, { ...none, hosts: [] })];
}

function nextOf(key: string, said: Said, rolloutId: string | null = null): Next {
  return { ...listed(said), key, since: null, rolloutId };
}

/** finish-first. */
function whyWaits(
  state: FleetState,
  { channel, currentRolloutId: first, waitingRef }: ChannelRow,
  hostname: string,
): Next | null {
  if (waitingRef === null || first === null) return null;
  const id = `${channel}@${waitingRef}`;
  const hosts = state.manifests.get(id)?.hostSet;
  if (hosts?.every((one) => one.hostname !== hostname) === true) return null;
  const unfinished = [...(state.live.get(first)?.records.values() ?? [])].filter(isOpen);
  const said = {
    because: `rollout ${id} waits its turn; hosts of ${first} that are not through: ${String(unfinished.length)}`,
    releasedBy: `${first} is through, or is cancelled (onNewRef: finish-first)`,
    hosts: unfinished.map((record) => record.hostname),
  };
  return nextOf(RELEASE_WAITS, said, first);
}

interface Declared {
  readonly hostname: string;
  readonly channel: string;
  readonly closureHash: string | null;
}

/** Null where a rollout of what its channel declares has it, or is about to. */
function whyNone(
  state: FleetState,
  { hostname, channel, closureHash }: Declared,
  newest: RecordRow | undefined,
): Omit<Said, 'hosts'> | null {
  if (closureHash === null)
    return { because: 'the fleet declares no closure of it', releasedBy: 'a new commit does' };
  const ref = state.channels.get(channel)?.declaredRef ?? null;
  if (ref === null)
    return { because: `channel ${channel} declares no release`, releasedBy: 'a new commit does' };
  const id = `${channel}@${ref}`;
  const rollout = state.rollouts.get(id);
  const byCommit = 'a new commit opens the next one';
  if (rollout === undefined) {
    const manifest = state.manifests.get(id);
    if (manifest === undefined)
      return {
        because: `there is no verified manifest of rollout ${id}`,
        releasedBy: 'its manifest is published, and passes verification',
      };
    return manifest.hostSet.some((one) => one.hostname === hostname)
      ? null
      : { because: `the manifest of rollout ${id} does not name it`, releasedBy: byCommit };
  }
  if (newest?.rolloutId === id) return null;
  if (hasEnded(rollout.row.state))
    return { because: `rollout ${id} has ended, and opens once only`, releasedBy: byCommit };
  return rollout.records.has(hostname)
    ? null
    : { because: `rollout ${id} was opened without it`, releasedBy: byCommit };
}
