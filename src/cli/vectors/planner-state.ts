/**
 * A recorded planner situation as this core's state: rows put in directly, as a takeover would, with every
 * host reachable and every signature fresh, since the original knows neither.
 */
import type { FleetContent, ManifestContent } from '../../reducer/content.ts';
import { selectorKey } from '../../reducer/planner/pin.ts';
import { freshRecord } from '../../reducer/state/apply.ts';
import {
  freshHost,
  putChannel,
  putDispatch,
  putFleet,
  putHost,
  putProbeFailure,
  putQuarantine,
  putRecord,
  putRollout,
} from '../../reducer/state/put.ts';
import type { RolloutPlan } from '../../reducer/state/rows.ts';
import { setContent } from '../../reducer/state/rows-io.ts';
import { emptyState, type FleetState } from '../../reducer/state/state.ts';
import { millisOf } from '../../reducer/time.ts';
import { canonicalTime } from '../../wire/instant.ts';
import type { PlannerLine } from './shapes.ts';

type Rollout = PlannerLine['rollouts'][number];
type Host = PlannerLine['hosts'][number];

export function stateOf(line: PlannerLine): FleetState {
  const state = emptyState();
  const now = canonical(line.now);
  setContent(state, fleetOf(line, now), manifestsOf(line, now));
  putFleet(state, { ...state.fleet, seq: 1, signedAt: now, opened: line.rollouts.length });
  for (const channel of Object.keys(line.fleet.channels)) enterChannel(state, line, channel, now);
  line.rollouts.forEach((rollout, i) => {
    enterRollout(state, line, rollout, i + 1, now);
  });
  for (const [channel, closures] of Object.entries(line.quarantines)) {
    for (const closure of closures) {
      const row = { seq: 1, channel, closure, rolloutId: '', hostname: '', at: now };
      putQuarantine(state, channel, closure, row);
    }
  }
  return state;
}

function fleetOf({ fleet }: PlannerLine, now: string): FleetContent {
  const policies = Object.entries(fleet.rolloutPolicies).map(
    ([name, { waves, onHealthFailure }]) =>
      [name, { waves, onHealthFailure, onNewRef: 'supersede', maxFailures: null }] as const,
  );
  const hosts = Object.entries(fleet.hosts).map(
    ([name, { channel, closureHash }]) =>
      [name, { channel, closureHash: closureHash ?? null }] as const,
  );
  return {
    hash: 'recorded',
    signedAt: now,
    ref: null,
    hosts: new Map(hosts),
    channels: new Map(Object.entries(fleet.channels)),
    policies: new Map(policies),
    waves: new Map(Object.entries(fleet.waves)),
    edges: fleet.edges,
    channelEdges: fleet.channelEdges,
  };
}

function manifestsOf({ manifests }: PlannerLine, now: string): ManifestContent[] {
  return Object.values(manifests).map((manifest) => ({
    rolloutId: `${manifest.channel}@${manifest.channelRef}`,
    hash: 'recorded',
    displayName: manifest.displayName,
    channel: manifest.channel,
    channelRef: manifest.channelRef,
    signedAt: now,
    hostSet: manifest.hostSet,
    maxFailures: null,
    budgets: manifest.disruptionBudgets.map((budget) => ({
      selector: budget.selector,
      hosts: budget.hosts,
      maxInFlight: budget.maxInFlight ?? null,
      maxInFlightPct: budget.maxInFlightPct ?? null,
    })),
  }));
}

function enterChannel(state: FleetState, line: PlannerLine, channel: string, now: string): void {
  const manifest = line.manifests[channel];
  const current = line.rollouts.findLast((rollout) => rollout.channel === channel);
  putChannel(state, channel, {
    seq: 1,
    channel,
    declaredRef: manifest?.channelRef ?? null,
    manifestHash: manifest === undefined ? null : 'recorded',
    signedAt: manifest === undefined ? null : now,
    freshnessWindow: line.fleet.channels[channel]?.freshnessWindow ?? 0,
    undeclaredAt: null,
    currentRolloutId: current?.rolloutId ?? null,
    waitingRef: null,
    pause: null,
    note: null,
  });
}

function enterRollout(
  state: FleetState,
  line: PlannerLine,
  rollout: Rollout,
  ordinal: number,
  now: string,
): void {
  const { rolloutId, channel, targetRef, currentWave, terminalAt } = rollout;
  const hosts = line.hosts.filter((host) => host.rolloutId === rolloutId);
  const plan = planOf(line, rollout, hosts);
  putRollout(state, rolloutId, {
    ...{ seq: 1, rolloutId, channel, channelRef: targetRef, displayName: '', ordinal, plan },
    ...{ manifestHash: 'recorded', signedAt: now, currentWave },
    state: terminalAt == null ? 'Active' : 'Terminal',
    openedAt: canonical(rollout.openedAt),
    terminalAt: terminalAt == null ? null : canonical(terminalAt),
    ...{ supersededAt: null, supersededBy: null, failedAt: null, endedAt: null },
    ...{ exceptions: null, blockers: [], blockersSince: null },
  });
  for (const host of hosts) enterHost(state, line, rollout, host, plan, now);
}

function enterHost(
  state: FleetState,
  line: PlannerLine,
  { rolloutId, channel }: Rollout,
  host: Host,
  plan: RolloutPlan,
  now: string,
): void {
  const { hostname, targetClosure, dispatchAckedAt } = host;
  const heard = { reachability: 'reachable' as const, reachabilityAt: now };
  putHost(state, hostname, { ...freshHost(hostname), ...heard, seq: 1 });
  const wave = waveOf(line, rolloutId, channel, hostname);
  putRecord(state, rolloutId, hostname, {
    ...freshRecord(rolloutId, channel, [hostname, wave, targetClosure], 1),
    state: host.state,
    policyApplied: host.state === 'Failed' ? plan.onHealthFailure : null,
    dispatchAckedAt: dispatchAckedAt == null ? null : canonical(dispatchAckedAt),
  });
  if (host.state === 'Pending' && dispatchAckedAt != null) {
    grant(state, rolloutId, hostname, channel, targetClosure, now);
  }
  const failing = line.outstandingEnforceFailures[rolloutId]?.[hostname] ?? 0;
  for (let i = 0; i < failing; i += 1) {
    const at = { rolloutId, hostname, probeName: `recorded-${String(i)}`, controlId: '' };
    putProbeFailure(state, at, { ...at, seq: 1, since: now });
  }
}

export function grant(
  state: FleetState,
  rolloutId: string,
  hostname: string,
  channel: string,
  targetClosure: string,
  now: string,
): void {
  const ordinal = state.rollouts.get(rolloutId)?.row.ordinal ?? 0;
  putDispatch(state, rolloutId, hostname, {
    ...{ seq: 1, rolloutId, hostname, channel, targetClosure, ordinal },
    ...{ soakDueAt: now, enqueuedAt: now, suspended: false },
  });
}

/** As the manifest pins it; for rollouts whose manifest is gone, as the fleet's waves have it. */
export function waveOf(
  line: PlannerLine,
  rolloutId: string,
  channel: string,
  hostname: string,
): number {
  const manifest = Object.values(line.manifests).find(
    (m) => `${m.channel}@${m.channelRef}` === rolloutId,
  );
  const pinned = manifest?.hostSet.find((host) => host.hostname === hostname)?.waveIndex;
  const staged = line.fleet.waves[channel]?.findIndex((wave) => wave.hosts.includes(hostname));
  return pinned ?? Math.max(0, staged ?? 0);
}

function planOf(line: PlannerLine, rollout: Rollout, hosts: readonly Host[]): RolloutPlan {
  const { rolloutId, channel } = rollout;
  const name = line.fleet.channels[channel]?.rolloutPolicy ?? '';
  const policy = line.fleet.rolloutPolicies[name];
  const staged = line.fleet.waves[channel] ?? [];
  const isStaged = (host: string) => staged.some((wave) => wave.hosts.includes(host));
  const names = hosts.map((host) => host.hostname);
  const indexes = names.map((host) => waveOf(line, rolloutId, channel, host));
  const waves = Math.max(staged.length, rollout.currentWave + 1, ...indexes.map((i) => i + 1));
  return {
    policy: name,
    onHealthFailure: policy?.onHealthFailure ?? 'halt',
    onNewRef: 'supersede',
    maxFailures: hosts.length,
    soakMinutes: Array.from(
      { length: waves },
      (_, i) => policy?.waves[i]?.soakMinutes ?? staged[i]?.soakMinutes ?? 60,
    ),
    budgets: rollout.budgets.map((budget) => ({
      key: selectorKey(budget.selector),
      selector: budget.selector,
      hosts: budget.hosts,
      maxInFlight: budget.maxInFlight ?? null,
      maxInFlightPct: budget.maxInFlightPct ?? null,
    })),
    unstaged: names.filter(
      (host) => (staged.length > 0 && !isStaged(host)) || line.fleet.hosts[host] === undefined,
    ),
  };
}

export function nowOf(line: PlannerLine): number {
  return millisOf(canonical(line.now));
}

function canonical(time: string): string {
  const found = canonicalTime(time);
  if (found === null) throw new Error(`${time} is no instant`);
  return found;
}
