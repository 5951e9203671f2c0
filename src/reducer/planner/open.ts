/**
 * Opens a rollout for a newly declared ref, with everything it will ever need pinned in its first row. A
 * rollout id opens once, ever.
 */
import type { ManifestContent, Selector } from '../content.ts';
import type { Pass } from '../pass.ts';
import { hasEnded } from '../rollout/states.ts';
import { isHalted } from '../rollout/step-rollout.ts';
import type { Sliced } from '../slices.ts';
import type { PlannedHost } from '../state/change.ts';
import type { ChannelRow, PinnedBudget, RolloutPlan } from '../state/rows.ts';
import type { FleetState } from '../state/state.ts';
import { limitOf } from './limit.ts';
import { apply } from './progress.ts';
import { isEveryHostSettled } from './settle.ts';

/** Minutes of soak where neither the policy nor the fleet's wave says. */
const DEFAULT_SOAK_MINUTES = 60;

export function* openRollouts(pass: Pass, channels: Iterable<string>): Sliced {
  for (const name of [...channels].sort()) {
    const channel = pass.state.channels.get(name);
    if (channel !== undefined) yield* considerChannel(pass, channel);
  }
}

function* considerChannel(pass: Pass, channel: ChannelRow): Sliced {
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
  yield* openRollout(pass, channel, manifest);
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

function* openRollout(pass: Pass, channel: ChannelRow, manifest: ManifestContent): Sliced {
  const { rolloutId } = manifest;
  const predecessor = channel.currentRolloutId;
  const ordinal = pass.state.fleet.opened + 1;
  const plan = yield* planOf(pass.state, manifest);
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

function* planOf(state: FleetState, manifest: ManifestContent): Sliced<RolloutPlan> {
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
    budgets: yield* pinBudgets(manifest),
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

/**
 * Pinned are the limit as it comes out for all the budget's hosts, and of these the rollout's own: a budget
 * over the whole fleet would otherwise be kept once for every channel.
 */
function* pinBudgets(manifest: ManifestContent): Sliced<PinnedBudget[]> {
  const own = new Set(manifest.hostSet.map((host) => host.hostname));
  const pinned: PinnedBudget[] = [];
  for (const budget of manifest.budgets) {
    yield;
    pinned.push({
      key: selectorKey(budget.selector),
      selector: budget.selector,
      hosts: budget.hosts.filter((hostname) => own.has(hostname)),
      maxInFlight: limitOf(budget),
      maxInFlightPct: null,
    });
  }
  return pinned;
}

/** A readable text that is equal exactly for equal selectors. */
export function selectorKey(selector: Selector): string {
  const parts: string[] = [];
  if (selector.all) parts.push('all');
  if (selector.channel !== null) parts.push(`channel=${JSON.stringify(selector.channel)}`);
  if (selector.tags.length > 0) parts.push(`tags=${list(selector.tags)}`);
  if (selector.tagsAny.length > 0) parts.push(`tagsAny=${list(selector.tagsAny)}`);
  if (selector.hosts.length > 0) parts.push(`hosts=${list(selector.hosts)}`);
  return parts.join(' ') || 'nothing';
}

function list(values: readonly string[]): string {
  return JSON.stringify([...values].sort());
}
