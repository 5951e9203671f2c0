/** Why hosts and rollouts do not move, and what would happen next: the core's pure read functions, asked. */
import { Type } from '@sinclair/typebox';
import { readHostSeen, type HostSeenRow } from '../../../db/hosts.ts';
import { readOffersOf } from '../../../db/offers.ts';
import { channelsOfHost } from '../../../db/tokens.ts';
import { planPreview, type PlanPreview } from '../../../reducer/preview.ts';
import { quote } from '../../../reducer/read/quote.ts';
import type { FleetState } from '../../../reducer/state/state.ts';
import { whyHost, whyRollout, type HostInRollout, type Why } from '../../../reducer/read/why.ts';
import {
  HostDetailSchema,
  PlanSchema,
  RolloutBlockersSchema,
  type Blocker,
  type HostDetail,
  type Plan,
  type RolloutBlockers,
} from '../../../wire/why.ts';
import type { ApiDeps } from '../../deps.ts';
import { observedFor } from '../../observed.ts';
import { fromDatabase, Refusal } from '../../refusal.ts';
import type { Scope } from '../../scope.ts';
import {
  about,
  aboutCommitted,
  hostnameOf,
  isUnchanged,
  momentOf,
  OPERATOR,
  present,
  rolloutIdOf,
  RolloutParams,
} from './reading.ts';

/** Names of one list in a plan: enough for a page, bounded for a fleet. */
const MOST_PLANNED = 1_000;
const EXAMPLES = 50;

export function addWhy(scope: Scope, deps: ApiDeps): void {
  const { log } = deps;
  const plan = planner(deps);
  scope.get(
    '/v1/hosts/:name',
    {
      config: OPERATOR,
      schema: {
        ...about(
          'A host: where it stands, and every reason for which it does not move',
          HostDetailSchema,
        ),
        params: Type.Object({ name: Type.String() }),
      },
    },
    (request) => fromDatabase(log, () => hostDetail(deps, hostnameOf(request.params.name))),
  );
  scope.get(
    '/v1/rollouts/:id/blockers',
    {
      config: OPERATOR,
      schema: {
        ...aboutCommitted(
          'Why the hosts of a rollout do not move, aggregated',
          RolloutBlockersSchema,
        ),
        params: RolloutParams,
      },
    },
    (request, reply) =>
      fromDatabase(log, async () => {
        const id = rolloutIdOf(request.params.id);
        // Soaks end, and sentences tell it, where nothing is committed.
        if (await isUnchanged(deps, request, reply, momentOf(deps))) return reply;
        return deps.committed.read((state) => rolloutBlockers(state, id, deps.clock.now()));
      }),
  );
  scope.get(
    '/v1/rollouts/:id/plan',
    {
      config: OPERATOR,
      schema: {
        ...about('What would be dispatched now, and what would hold every other host', PlanSchema),
        params: RolloutParams,
      },
    },
    (request) => fromDatabase(log, () => plan(rolloutIdOf(request.params.id))),
  );
}

async function hostDetail(deps: ApiDeps, hostname: string): Promise<HostDetail> {
  const [[seen], offers, commandChannels] = await deps.pool.run((sql) =>
    Promise.all([
      readHostSeen(sql, hostname),
      readOffersOf(sql, hostname),
      channelsOfHost(sql, hostname),
    ]),
  );
  const now = deps.clock.now();
  const offeredAt = new Map(offers.map(({ rolloutId, at }) => [rolloutId, at]));
  const { host, rollouts, seq, next, rollout } = await deps.committed.read((state) =>
    whyHost(state, hostname, now, offeredAt),
  );
  if (host === null && rollouts.length === 0 && seen === undefined) {
    throw new Refusal('not-found', `host ${hostname} is neither declared nor was it ever heard`);
  }
  const [newest] = rollouts;
  return {
    hostname,
    seq,
    reachability: host?.reachability ?? 'never',
    ...present({ ...presenceOf(seen), hold: host?.hold ?? null }),
    ...present({
      currentClosureHash: host?.reportedClosure ?? null,
      reachabilityAt: host?.reachabilityAt ?? null,
    }),
    commandChannels: [...commandChannels],
    blockers: (newest?.blockers ?? []).map(blockerOf),
    ...(next.length === 0 ? {} : { next: next.map(blockerOf) }),
    ...(rollout.length === 0 ? {} : { rollout: rollout.map(blockerOf) }),
    rollouts: rollouts.map(inRolloutOf),
  };
}

function presenceOf(seen: HostSeenRow | undefined) {
  return {
    channel: seen?.channel ?? null,
    declaredClosureHash: seen?.declared ?? null,
    lastCheckinAt: seen?.heardAt ?? null,
    lastUptimeSecs: seen?.uptimeSecs ?? null,
    agentVersion: seen?.agentVersion ?? null,
  };
}

function inRolloutOf({
  rollout,
  record,
  dispatch,
  blockers,
  failures,
}: HostInRollout): HostDetail['rollouts'][number] {
  return {
    ...refOf(rollout),
    seq: record.seq,
    wave: record.wave,
    state: record.state,
    targetClosureHash: record.targetClosure,
    lastEventSeq: record.lastEventSeq,
    ...present({
      currentClosureHash: record.currentClosure,
      dispatchedAt: record.dispatchedAt,
      dispatchAckedAt: record.dispatchAckedAt,
      activationStartedAt: record.activationStartedAt,
      activationCompletedAt: record.activationCompletedAt,
      soakDueAt: record.soakDueAt,
      convergedAt: record.convergedAt,
      failedAt: record.failedAt,
      policyApplied: record.policyApplied,
      revertedAt: record.revertedAt,
      revertedTo: record.revertedTo,
      closed: record.closed,
    }),
    ...(record.unchanged ? { unchanged: true } : {}),
    ...(record.cleared ? { cleared: true } : {}),
    ...(dispatch === null
      ? {}
      : { dispatch: { enqueuedAt: dispatch.enqueuedAt, suspended: dispatch.suspended } }),
    probes: Object.fromEntries(
      Object.entries(record.probes).map(
        ([name, { status, mode, lastObservedAt, failureReason }]) => [
          name,
          {
            ...{ status, mode, lastObservedAt },
            ...(failureReason === null ? {} : { failureReason: quote(failureReason) }),
          },
        ],
      ),
    ),
    failures: failures.map(({ probeName, controlId, since }) => ({
      probeName,
      since,
      ...(controlId === '' ? {} : { controlId }),
    })),
    blockers: blockers.map(blockerOf),
  };
}

function blockerOf({ gate, key, since, because, releasedBy, behind, total }: Why): Blocker {
  return {
    ...{ gate, key, because, releasedBy, total, ...present({ since }) },
    hosts: behind.map(({ hostname, state, doing }) => ({ hostname, doing, ...present({ state }) })),
  };
}

function refOf(row: HostInRollout['rollout']) {
  const { rolloutId, channel, state, currentWave } = row;
  return { rolloutId, channel, rolloutState: state, currentWave };
}

function knownRollout(state: FleetState, id: string): HostInRollout['rollout'] {
  const rollout = state.rollouts.get(id);
  if (rollout !== undefined) return rollout.row;
  throw new Refusal('not-found', `there is no rollout ${id}`);
}

function rolloutBlockers(state: FleetState, id: string, now: number): RolloutBlockers {
  const row = knownRollout(state, id);
  const why = whyRollout(state, id, now);
  return {
    ...refOf(row),
    asOfSeq: state.headSeq,
    rollout: (why?.rollout ?? []).map(blockerOf),
    hosts: (why?.hosts ?? []).map((group) => ({
      ...blockerOf(group.why),
      held: group.count,
      examples: [...group.held],
    })),
  };
}

/** A plan of 100,000 hosts takes a quarter of a second: whoever asks for it in a row is shown the same. */
const PLAN_MS = 5_000;

interface Planned {
  readonly seq: number;
  readonly at: number;
  readonly plan: PlanPreview;
}

/** One plan for all who ask of the same state within a few seconds. */
function planner(deps: ApiDeps): (id: string) => Promise<Plan> {
  let known: Planned | null = null;
  const isFresh = ({ headSeq }: FleetState, now: number): boolean =>
    known?.seq === headSeq && now - known.at <= PLAN_MS;
  return async (id) => {
    const now = deps.clock.now();
    const asked = await deps.committed.read((state) => isFresh(state, now));
    const observed = asked ? undefined : await observedFor(deps, { kind: 'Tick' }, now);
    return deps.committed.read((state) => {
      if (known === null || !isFresh(state, now))
        known = { seq: state.headSeq, at: now, plan: planPreview(state, now, observed) };
      return planOf(state, id, known.plan);
    });
  };
}

function planOf(state: FleetState, id: string, { dispatched, blocked }: PlanPreview): Plan {
  const row = knownRollout(state, id);
  const granted = dispatched.filter((one) => one.rolloutId === id).map((one) => one.hostname);
  const groups = new Map<string, { gates: string[]; held: number; examples: string[] }>();
  for (const { rolloutId, hostname, gates } of blocked) {
    if (rolloutId !== id) continue;
    const key = gates.join(' ');
    const group = groups.get(key) ?? { gates: [...gates], held: 0, examples: [] };
    groups.set(key, group);
    group.held += 1;
    if (group.examples.length < EXAMPLES) group.examples.push(hostname);
  }
  return {
    ...refOf(row),
    asOfSeq: state.headSeq,
    rollout: [...row.blockers],
    dispatched: { total: granted.length, hosts: granted.slice(0, MOST_PLANNED) },
    blocked: [...groups.values()].sort((a, b) => b.held - a.held),
  };
}
