/**
 * Opens a rollout for a newly declared ref, with everything it will ever need pinned in its first row. A
 * rollout id opens once, ever.
 */
import type { ManifestContent } from '../content.ts';
import type { Pass } from '../pass.ts';
import { hasEnded } from '../rollout/states.ts';
import { isHalted } from '../rollout/step-rollout.ts';
import type { Sliced } from '../slices.ts';
import type { PlannedHost } from '../state/change.ts';
import type { ChannelRow, RolloutPlan } from '../state/rows.ts';
import type { FleetState } from '../state/state.ts';
import { HostLists, pinBudgets } from './pin.ts';
import { apply } from './progress.ts';
import { isEveryHostSettled } from './settle.ts';

/** Minutes of soak where neither the policy nor the fleet's wave says. */
const DEFAULT_SOAK_MINUTES = 60;

export function* openRollouts(pass: Pass, channels: Iterable<string>): Sliced {
  const lists = new HostLists();
  for (const name of [...channels].sort()) {
    const channel = pass.state.channels.get(name);
    if (channel !== undefined) yield* considerChannel(pass, channel, lists);
  }
}

function* considerChannel(pass: Pass, channel: ChannelRow, lists: HostLists): Sliced {
  const ref = channel.declaredRef;
  const id = ref === null ? null : `${channel.channel}@${ref}`;
  const manifest = id === null ? undefined : pass.state.manifests.get(id);
  const known = id === null ? undefined : pass.state.rollouts.get(id);
  if (known !== undefined) {
    note(pass, channel, null, hasEnded(known.row.state) ? 'ref-already-ended' : null);
    return;
  }
  if (manifest === undefined) {
    note(pass, channel, null, null);
    return;
  }
  if (mustWait(pass, channel)) {
    note(pass, channel, ref, null);
    return;
  }
  yield* openRollout(pass, channel, manifest, lists);
}

/** finish-first: the current rollout is let through before its successor opens. */
function mustWait({ state, now }: Pass, channel: ChannelRow): boolean {
  const current =
    channel.currentRolloutId === null ? undefined : state.rollouts.get(channel.currentRolloutId);
  if (current === undefined || current.row.plan.onNewRef !== 'finish-first') return false;
  const { state: stands } = current.row;
  if (stands === 'Terminal' || isHalted(stands) || hasEnded(stands)) return false;
  return !isEveryHostSettled(state, current, now);
}

function note(
  pass: Pass,
  channel: ChannelRow,
  waitingRef: string | null,
  remark: string | null,
): void {
  if (channel.waitingRef === waitingRef && channel.note === remark) return;
  pass.emit({
    kind: 'plan_action',
    channel: channel.channel,
    payload: { action: remark === null ? 'HoldRef' : 'RefuseRef', waitingRef, note: remark },
    changes: [{ t: 'channel', channel: channel.channel, set: { waitingRef, note: remark } }],
  });
}

function* openRollout(
  pass: Pass,
  channel: ChannelRow,
  manifest: ManifestContent,
  lists: HostLists,
): Sliced {
  const { rolloutId } = manifest;
  const predecessor = channel.currentRolloutId;
  const ordinal = pass.state.fleet.opened + 1;
  const plan = yield* planOf(pass.state, manifest, lists);
  const hosts: PlannedHost[] = manifest.hostSet.map((h) => [
    h.hostname,
    h.waveIndex,
    h.targetClosure,
  ]);
  yield;
  const opened = yield* pass.emitMany({
    kind: 'rollout_event',
    rolloutId,
    channel: channel.channel,
    payload: { event: 'RolloutOpened', hosts: hosts.length, waves: plan.soakMinutes.length },
    changes: [
      {
        t: 'rollout',
        rolloutId,
        set: {
          channel: channel.channel,
          channelRef: manifest.channelRef,
          displayName: manifest.displayName,
          manifestHash: manifest.hash,
          signedAt: manifest.signedAt,
          ordinal,
          openedAt: pass.at,
          plan,
        },
      },
      { t: 'records', rolloutId, channel: channel.channel, hosts },
      {
        t: 'channel',
        channel: channel.channel,
        set: { currentRolloutId: rolloutId, waitingRef: null, note: null },
      },
      { t: 'fleet', set: { opened: ordinal } },
    ],
  });
  supersede(pass, predecessor, rolloutId, opened);
}

function supersede(
  pass: Pass,
  predecessor: string | null,
  successor: string,
  opened: number,
): void {
  const old = predecessor === null ? undefined : pass.state.rollouts.get(predecessor);
  if (old === undefined) return;
  apply(
    pass,
    old,
    { kind: 'SuccessorOpened', at: pass.at, successor },
    { successor, openedBy: opened },
  );
}

function* planOf(
  state: FleetState,
  manifest: ManifestContent,
  lists: HostLists,
): Sliced<RolloutPlan> {
  const { content } = state;
  const name = content?.channels.get(manifest.channel)?.rolloutPolicy ?? '';
  const policy = content?.policies.get(name);
  const staged = content?.waves.get(manifest.channel) ?? [];
  const waves = Math.max(1, staged.length, 1 + Math.max(-1, ...waveIndexes(manifest)));
  return {
    policy: name,
    onHealthFailure: policy?.onHealthFailure ?? 'halt',
    onNewRef: policy?.onNewRef ?? 'supersede',
    maxFailures: manifest.maxFailures ?? policy?.maxFailures ?? 0,
    soakMinutes: Array.from(
      { length: waves },
      (_, i) => policy?.waves[i]?.soakMinutes ?? staged[i]?.soakMinutes ?? DEFAULT_SOAK_MINUTES,
    ),
    budgets: yield* pinBudgets(manifest, lists),
    unstaged: unstagedHosts(state, manifest),
  };
}

/** The distinct wave indexes: few, however many hosts there are. */
function waveIndexes(manifest: ManifestContent): Set<number> {
  return new Set(manifest.hostSet.map((host) => host.waveIndex));
}

function unstagedHosts(state: FleetState, manifest: ManifestContent): string[] {
  const waves = state.content?.waves.get(manifest.channel) ?? [];
  const staged = new Set(waves.flatMap((wave) => wave.hosts));
  return manifest.hostSet
    .map((host) => host.hostname)
    .filter((name) => {
      if (waves.length > 0 && !staged.has(name)) return true;
      return state.content !== null && !state.content.hosts.has(name);
    });
}
