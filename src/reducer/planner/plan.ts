/**
 * The planner: looks again at what an input touched, until nothing is left to look at. Its order is fixed:
 * rollouts open and advance, dispatches that no longer hold are taken back, then hosts are judged by
 * channel, wave and name. A pass over what was touched decides exactly what a pass over everything would.
 */
import type { Pass } from '../pass.ts';
import { hasEnded } from '../rollout/states.ts';
import type { Sliced } from '../slices.ts';
import { cleanDirty, isClean, markHost, type Dirty } from '../state/dirty.ts';
import type { FleetState, RolloutState } from '../state/state.ts';
import { BlockerChanges, judge } from './grant.ts';
import { openRollouts } from './open.ts';
import { advanceRollout } from './progress.ts';
import { FreedSlots } from './slots.ts';
import { reviewDispatches } from './withdraw.ts';

/** Rounds after which a plan that does not settle is a defect, not a busy fleet: each round needs a wave or a rollout to move. */
const MAX_ROUNDS = 10_000;

type Judged = Map<RolloutState, Set<string>>;

export function* planNext(pass: Pass): Sliced {
  for (let round = 0; !isClean(pass.state.dirty); round += 1) {
    if (round > MAX_ROUNDS) throw new Error('the plan does not settle');
    yield* planRound(pass);
  }
}

function* planRound(pass: Pass): Sliced {
  const { state } = pass;
  const dirty = state.dirty;
  state.dirty = cleanDirty();
  const channels = dirty.all ? new Set(state.channels.keys()) : dirty.channels;
  if (channels.size > 0) yield* openRollouts(pass, channels);
  for (const rollout of inOrder(state, dirty.all ? state.live.keys() : dirty.progress)) {
    advanceRollout(pass, rollout);
  }
  mergeFollowUps(state, dirty);
  const hosts = hostsToJudge(state, dirty);
  for (const [rollout, names] of hosts) {
    if (isAnyDispatched(rollout, names)) yield* reviewDispatches(pass, rollout, names);
  }
  // What was just taken back is a free slot already.
  for (const key of state.dirty.budgets) dirty.budgets.add(key);
  yield* judgeInOrder(pass, hosts, dirty);
}

function isAnyDispatched({ dispatches }: RolloutState, names: ReadonlySet<string>): boolean {
  if (dispatches.size > 0) for (const name of names) if (dispatches.has(name)) return true;
  return false;
}

/** What opening and advancing touched is judged in this round too, so that no grant is made by a stale view. */
function mergeFollowUps(state: FleetState, dirty: Dirty): void {
  const fresh = state.dirty;
  if (isClean(fresh)) return;
  state.dirty = cleanDirty();
  for (const channel of fresh.channels) state.dirty.channels.add(channel);
  for (const id of fresh.progress) state.dirty.progress.add(id);
  for (const id of fresh.rollouts) dirty.rollouts.add(id);
  for (const key of fresh.budgets) dirty.budgets.add(key);
  for (const key of fresh.eased) dirty.eased.add(key);
  for (const [id, names] of fresh.hosts) for (const name of names) markHost(dirty, id, name);
  if (fresh.all) dirty.all = true;
}

function inOrder(state: FleetState, ids: Iterable<string>): RolloutState[] {
  const found: RolloutState[] = [];
  for (const id of ids) {
    const rollout = state.live.get(id);
    if (rollout !== undefined) found.push(rollout);
  }
  return found.sort(byChannel);
}

/** The order of rollouts: by channel, then by age. */
export function byChannel(a: RolloutState, b: RolloutState): number {
  if (a.row.channel !== b.row.channel) return a.row.channel < b.row.channel ? -1 : 1;
  return a.row.ordinal - b.row.ordinal;
}

function hostsToJudge(state: FleetState, dirty: Dirty): Judged {
  const found: Judged = new Map();
  for (const [id, names] of dirty.hosts) {
    const rollout = state.live.get(id);
    if (rollout !== undefined) found.set(rollout, names);
  }
  const add = (id: string, names: Iterable<string>) => {
    const rollout = state.live.get(id);
    if (rollout === undefined) return;
    const known = found.get(rollout);
    if (known === undefined) found.set(rollout, new Set(names));
    else for (const name of names) known.add(name);
  };
  if (dirty.all) {
    for (const [id, rollout] of state.live) {
      add(id, rollout.moving);
      // What waits in a rollout that ended waits for nothing: only what it handed out is looked at again.
      add(id, hasEnded(rollout.row.state) ? rollout.dispatches.keys() : pendingOf(state, id));
    }
  }
  for (const id of dirty.rollouts) add(id, pendingOf(state, id));
  for (const key of dirty.eased)
    for (const [id, name] of waitersInFlight(state, key)) add(id, [name]);
  return found.size < 2 ? found : new Map([...found].sort(([a], [b]) => byChannel(a, b)));
}

function* pendingOf(state: FleetState, rolloutId: string): Iterable<string> {
  for (const wave of state.rollouts.get(rolloutId)?.waves ?? []) yield* wave.pending;
}

/** A host in flight needs no slot: it may be granted as soon as its budget is no longer exceeded. */
function* waitersInFlight(state: FleetState, key: string): Iterable<readonly [string, string]> {
  const budget = state.budgets.get(key);
  if (budget === undefined) return;
  const { inFlight, queues } = budget;
  for (const alike of queues.allowing(inFlight.size)) {
    for (const queue of alike.queues) {
      const fewer = queue.size < inFlight.size ? queue.hostnames() : inFlight.keys();
      for (const hostname of fewer)
        if (queue.has(hostname) && inFlight.has(hostname)) yield [queue.rolloutId, hostname];
    }
  }
}

/** Judges the given hosts, and in between, where they are due, the hosts that waited for freed slots. */
function* judgeInOrder(pass: Pass, hosts: Judged, dirty: Dirty): Sliced {
  const changes = new BlockerChanges();
  const slots = dirty.budgets.size === 0 ? null : freedSlots(pass.state, hosts, dirty);
  for (const [rollout, names] of hosts) {
    for (const name of byWave(rollout, names)) {
      while (slots?.judgeNext(rollout, name, pass, changes)) if (pass.isSliceOver()) yield;
      judge(pass, rollout, name, changes);
      if (pass.isSliceOver()) yield;
    }
  }
  while (slots?.judgeNext(null, '', pass, changes)) if (pass.isSliceOver()) yield;
  if (!changes.isEmpty) yield* changes.emit(pass);
  slots?.close();
}

function freedSlots(state: FleetState, hosts: Judged, dirty: Dirty): FreedSlots {
  return new FreedSlots(state, dirty.budgets, {
    isWhole: ({ row }) => dirty.all || dirty.rollouts.has(row.rolloutId),
    isTaken: (rollout, hostname) => hosts.get(rollout)?.has(hostname) ?? false,
    comesFirst: byChannel,
  });
}

/** By wave, then by name. */
function byWave(rollout: RolloutState, names: ReadonlySet<string>): Iterable<string> {
  if (names.size < 2) return names;
  const waves: string[][] = rollout.waves.map(() => []);
  for (const name of names) {
    const wave = rollout.records.get(name)?.wave ?? 0;
    waves[Math.min(wave, waves.length - 1)]?.push(name);
  }
  return waves.flatMap((wave) => wave.sort());
}
