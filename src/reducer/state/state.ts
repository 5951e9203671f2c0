/**
 * The fleet's state in memory: immutable rows in maps, and beside them the indexes that keep a decision's
 * cost independent of the fleet's size. Rows change only through `put…` in `./put.ts`, which keeps every
 * index right and marks who must be planned again.
 */
import type { FleetContent, ManifestContent } from '../content.ts';
import { DEFAULT_SETTINGS, type Settings } from '../settings.ts';
import type { Millis } from '../time.ts';
import type { SinceOf } from './absences.ts';
import { emptyTally, type WaveTally } from './tally.ts';
import { WaiterQueue } from './waiters.ts';
import type { WaitingQueues } from './waiting-queues.ts';
import { cleanDirty, type Dirty } from './dirty.ts';
import type {
  BlockerRow,
  ChannelRow,
  DispatchRow,
  EnrolmentRow,
  FleetRow,
  HostRow,
  ProbeFailureRow,
  QuarantineRow,
  RecordRow,
  RolloutRow,
  TokenRow,
} from './rows.ts';

/** One rollout with all its rows and counters. */
export interface RolloutState {
  row: RolloutRow;
  readonly records: Map<string, RecordRow>;
  readonly dispatches: Map<string, DispatchRow>;
  readonly blockers: Map<string, BlockerRow>;
  /** By hostname, then by `failureKey`. */
  readonly failures: Map<string, Map<string, ProbeFailureRow>>;
  readonly waves: readonly WaveTally[];
  /** Hosts whose record is open and no longer Pending. */
  readonly moving: Set<string>;
  /** How many of its hosts are in flight, under whatever budget or none. */
  inFlight: number;
  /** Its limits are among those of its budgets (`flight.ts`). */
  isPinned: boolean;
  /** Keys of the budgets each host is in. */
  readonly hostBudgets: ReadonlyMap<string, readonly number[]>;
  /** By budget index: the hosts that nothing but this budget holds. */
  readonly waiters: readonly WaiterQueue[];
  readonly unstaged: ReadonlySet<string>;
}

export interface HostState {
  row: HostRow;
  /** Rollouts in which it has a record. */
  readonly rollouts: Set<string>;
  /** Those of them in which its record is open, by id: few, however long the host's history. */
  open: readonly string[];
}

/** Everything in flight under one selector, over all rollouts. */
export interface BudgetState {
  readonly key: string;
  /** How many rollouts' records count each host; the keys are the distinct hosts in flight. */
  readonly inFlight: Map<string, number>;
  /** The queues, one a rollout, in which somebody waits for a slot of this budget. */
  readonly queues: WaitingQueues;
  /** Rollouts that pinned this budget and may grant, by the limit that they pinned: hosts return to one that is through. */
  readonly granting: Map<number, Set<string>>;
  /** The highest of them that counts, as long as neither they nor the declared channels change. */
  most: { readonly content: FleetContent | null; readonly limit: number } | null;
}

export interface FleetState {
  headSeq: number;
  /** `now` of the last logged row, ms: time never runs backwards in the log. */
  lastTs: Millis;
  fleet: FleetRow;
  readonly settings: Settings;
  content: FleetContent | null;
  /** Verified manifests of the current set, by rollout id. */
  manifests: ReadonlyMap<string, ManifestContent>;
  /** For each gating host, the hosts it gates, from the current set. */
  gatedBy: ReadonlyMap<string, ReadonlySet<string>>;
  /** For each gated host, the hosts that gate it. */
  gatesOf: ReadonlyMap<string, ReadonlySet<string>>;
  readonly channels: Map<string, ChannelRow>;
  readonly rollouts: Map<string, RolloutState>;
  /** Those of `rollouts` that are not pruned: tombstones are many, and nothing ever happens to them. */
  readonly live: Map<string, RolloutState>;
  readonly hosts: Map<string, HostState>;
  /** By `quarantineKey`. */
  readonly quarantines: Map<string, QuarantineRow>;
  readonly tokens: Map<string, TokenRow>;
  readonly budgets: Map<string, BudgetState>;
  /** By nonce. */
  readonly enrolments: Map<string, EnrolmentRow>;
  /** Declared hosts with a closure, and how many of them are reachable. */
  fleetSize: number;
  fleetReachable: number;
  dirty: Dirty;
  /** When set, every replaced row is remembered here, newest last, to be put back. */
  undo: (() => void)[] | null;
}

/** Every row there is, in a fixed order: what the tables hold. */
export interface StateRows {
  readonly headSeq: number;
  readonly lastTs: Millis;
  readonly fleet: FleetRow;
  readonly channels: readonly ChannelRow[];
  readonly rollouts: readonly RolloutRow[];
  readonly records: readonly RecordRow[];
  readonly hosts: readonly HostRow[];
  readonly dispatches: readonly DispatchRow[];
  readonly quarantines: readonly QuarantineRow[];
  readonly probeFailures: readonly ProbeFailureRow[];
  readonly blockers: readonly BlockerRow[];
  readonly tokens: readonly TokenRow[];
  readonly enrolments: readonly EnrolmentRow[];
}

export function emptyFleetRow(): FleetRow {
  return {
    seq: 0,
    fleetHash: null,
    signedAt: null,
    ref: null,
    pause: null,
    rejectBefore: null,
    rejections: null,
    listeningSince: null,
    deafSince: null,
    opened: 0,
  };
}

export function emptyState(settings: Settings = DEFAULT_SETTINGS): FleetState {
  return {
    headSeq: 0,
    lastTs: 0,
    fleet: emptyFleetRow(),
    settings,
    content: null,
    manifests: new Map(),
    gatedBy: new Map(),
    gatesOf: new Map(),
    channels: new Map(),
    rollouts: new Map(),
    live: new Map(),
    hosts: new Map(),
    quarantines: new Map(),
    tokens: new Map(),
    budgets: new Map(),
    enrolments: new Map(),
    fleetSize: 0,
    fleetReachable: 0,
    dirty: cleanDirty(),
    undo: null,
  };
}

export function quarantineKey(channel: string, closure: string): string {
  return `${channel}\u0000${closure}`;
}

export function failureKey(probeName: string, controlId: string): string {
  return `${probeName}\u0000${controlId}`;
}

export function newRolloutState(row: RolloutRow): RolloutState {
  return {
    row,
    records: new Map(),
    dispatches: new Map(),
    blockers: new Map(),
    failures: new Map(),
    waves: row.plan.soakMinutes.map(() => emptyTally()),
    moving: new Set(),
    inFlight: 0,
    isPinned: false,
    hostBudgets: budgetsByHost(row),
    waiters: row.plan.budgets.map((_, index) => new WaiterQueue(row, index)),
    unstaged: new Set(row.plan.unstaged),
  };
}

/** Most hosts are in the same few budgets, so they share the list that says so. */
function budgetsByHost({ plan }: RolloutRow): ReadonlyMap<string, readonly number[]> {
  const found = new Map<string, readonly number[]>();
  plan.budgets.forEach((budget, index) => {
    const extended = new Map<readonly number[], readonly number[]>();
    for (const hostname of budget.hosts) {
      const before = found.get(hostname) ?? NO_BUDGETS;
      let after = extended.get(before);
      if (after === undefined) extended.set(before, (after = [...before, index]));
      found.set(hostname, after);
    }
  });
  return found;
}

const NO_BUDGETS: readonly number[] = [];

export function isReachable(state: FleetState, hostname: string): boolean {
  return state.hosts.get(hostname)?.row.reachability === 'reachable';
}

/** Since when hosts of a wave are absent: those that are Pending there and not heard. Never heard counts from the opening. */
export function absentSince(
  state: FleetState,
  { row }: RolloutState,
  { pending }: WaveTally,
): SinceOf {
  return (hostname) => {
    const host = state.hosts.get(hostname)?.row;
    const isAbsent = pending.has(hostname) && host?.reachability !== 'reachable';
    return isAbsent ? (host?.reachabilityAt ?? row.openedAt) : null;
  };
}

/** Half of the declared hosts or more are heard: only then does the absence of others say anything. */
export function isFleetHeard(state: FleetState): boolean {
  return state.fleetReachable * 2 >= state.fleetSize;
}

/** The wave tally of a record; an index past the plan counts with the last wave. */
export function waveOf(rollout: RolloutState, wave: number): WaveTally {
  const found = rollout.waves[Math.min(wave, rollout.waves.length - 1)];
  if (found === undefined) throw new Error(`rollout ${rollout.row.rolloutId} has no waves`);
  return found;
}
