/** The fleet at a glance, its channels, and what is set aside: quarantines and hosts that wait for a reboot. */
import { Type } from '@sinclair/typebox';
import { readRefused } from '../../../db/artifacts.ts';
import {
  countBlockers,
  countHeardStuck,
  countLateSoaks,
  countRolloutBlockers,
} from '../../../db/blocked.ts';
import {
  countHosts,
  countReachability,
  countRollouts,
  readFleetOverview,
} from '../../../db/overview.ts';
import { readFreshness, readLongestIdle } from '../../../db/measure.ts';
import {
  listChannels,
  listDeferrals,
  listQuarantines,
  type ChannelListRow,
} from '../../../db/lists.ts';
import {
  ChannelDetailSchema,
  ChannelListSchema,
  DeferralListSchema,
  FleetSchema,
  QuarantineListSchema,
  type ChannelDetail,
  type ChannelList,
  type DeferralList,
  type Fleet,
  type QuarantineList,
} from '../../../wire/overview.ts';
import type { ApiDeps } from '../../deps.ts';
import { fromDatabase, Refusal } from '../../refusal.ts';
import type { Scope } from '../../scope.ts';
import {
  about,
  aboutCommitted,
  channelFilter,
  cursorOf,
  isUnchanged,
  limitOf,
  oncePerCommit,
  oncePerMoment,
  OPERATOR,
  PAGE_PARAMS,
  PageSchema,
  partsOf,
  present,
  stopOf,
  type Page,
} from './reading.ts';

/** Small rows; a page of them is some 200 kB. */
const MOST = 1_000;

const ChannelPage = Type.Object({
  ...PAGE_PARAMS,
  channel: Type.Optional(Type.String({ description: 'Of this channel only.' })),
});
type Filtered = Page & { readonly channel?: string };

export function addOverview(scope: Scope, deps: ApiDeps): void {
  const { log } = deps;
  const lateSoaksNow = oncePerMoment(deps, () => deps.pool.run(countLateSoaks));
  const fleetNow = oncePerCommit(() => fleet(deps));
  scope.get(
    '/v1/fleet',
    { config: OPERATOR, schema: aboutCommitted('The fleet at a glance', FleetSchema) },
    (request, reply) =>
      fromDatabase(log, async () => {
        // A soak becomes late where nothing is committed any more: its count is no part of what is kept.
        const lateSoaks = await lateSoaksNow();
        if (await isUnchanged(deps, request, reply, lateSoaks)) return reply;
        return { ...(await fleetNow(reply, {})), lateSoaks };
      }),
  );
  scope.get(
    '/v1/channels',
    {
      config: OPERATOR,
      schema: { ...about('All channels by name', ChannelListSchema), querystring: PageSchema },
    },
    (request) => fromDatabase(log, () => channels(deps, request.query)),
  );
  scope.get(
    '/v1/channels/:name',
    {
      config: OPERATOR,
      schema: {
        ...about('What a channel declares, and where it stands', ChannelDetailSchema),
        params: Type.Object({ name: Type.String() }),
      },
    },
    (request) => fromDatabase(log, () => channel(deps, request.params.name)),
  );
  scope.get(
    '/v1/quarantines',
    {
      config: OPERATOR,
      schema: {
        ...aboutCommitted(
          'Closures that are not dispatched again until cleared',
          QuarantineListSchema,
        ),
        querystring: ChannelPage,
      },
    },
    (request, reply) =>
      fromDatabase(log, async () =>
        (await isUnchanged(deps, request, reply)) ? reply : quarantines(deps, request.query),
      ),
  );
  scope.get(
    '/v1/deferrals',
    {
      config: OPERATOR,
      schema: {
        ...aboutCommitted(
          'Hosts that staged their release and wait for a reboot',
          DeferralListSchema,
        ),
        querystring: ChannelPage,
      },
    },
    (request, reply) =>
      fromDatabase(log, async () =>
        (await isUnchanged(deps, request, reply)) ? reply : deferrals(deps, request.query),
      ),
  );
}

/** What is of committed state alone. */
async function fleet({ pool, agentFreshnessMinutes }: ApiDeps): Promise<Fleet> {
  const [row, refused, fresh] = await pool.run((sql) =>
    Promise.all([
      readFleetOverview(sql),
      readRefused(sql),
      readFreshness(sql, agentFreshnessMinutes),
    ]),
  );
  const [rollouts, hosts, reachability, blockers, rolloutBlockers, heardStuck, idle] =
    await Promise.all([
      pool.run(countRollouts),
      pool.run(countHosts),
      pool.run(countReachability),
      pool.run(countBlockers),
      pool.run(countRolloutBlockers),
      pool.run(countHeardStuck),
      pool.run(readLongestIdle),
    ]);
  if (row === null) throw new Refusal('not-ready', 'no leader has begun the log yet');
  const { ref, signedAt, fleetHash, rejectBefore, pause, ...numbers } = row;
  return {
    ...numbers,
    ...{ rollouts, hosts: hosts.states, deferrals: hosts.deferrals, reachability, blockers },
    ...{ rolloutBlockers, heardStuck, refused: [...refused] },
    ...present({ staleAt: fresh?.staleAt ?? null }),
    // No seconds: they go by the clock, and the answer is kept.
    ...(idle === null ? {} : { idle: { rolloutId: idle.rolloutId, since: idle.since } }),
    ...present({ ref, signedAt, fleetHash, rejectBefore, pause: stopOf(pause) }),
  };
}

async function channels({ pool }: ApiDeps, page: Page): Promise<ChannelList> {
  const limit = limitOf(page, MOST);
  const above = channelFilter(page.cursor) ?? '';
  const rows = await pool.run((sql) => listChannels(sql, { above, only: null, limit }));
  const last = rows.length === limit ? rows.at(-1) : undefined;
  return {
    channels: rows.map(channelOf),
    ...(last === undefined ? {} : { nextCursor: last.channel }),
  };
}

async function channel({ pool }: ApiDeps, name: string): Promise<ChannelDetail> {
  const only = channelFilter(name);
  const [row] = await pool.run((sql) => listChannels(sql, { above: '', only, limit: 1 }));
  if (row !== undefined) return channelOf(row);
  throw new Refusal('not-found', `there is no channel ${name}`);
}

function channelOf(row: ChannelListRow): ChannelDetail {
  const { declaredRef, signedAt, currentRolloutId, rolloutState, waitingRef, note } = row;
  return {
    name: row.channel,
    freshness_window_minutes: row.freshnessWindow,
    seq: row.seq,
    hosts: row.hosts,
    ...present({ declared_ci_commit: declaredRef, signed_at: signedAt }),
    ...present({ currentRolloutId, rolloutState, waitingRef, note, pause: stopOf(row.pause) }),
  };
}

async function quarantines({ pool }: ApiDeps, page: Filtered): Promise<QuarantineList> {
  const limit = limitOf(page, MOST);
  const [above = '', closure = ''] = partsOf(page.cursor, 2) ?? [];
  const filter = { channel: channelFilter(page.channel), limit };
  const rows = await pool.run((sql) => listQuarantines(sql, [above, closure], filter));
  const last = rows.length === limit ? rows.at(-1) : undefined;
  return {
    quarantines: [...rows],
    ...(last === undefined ? {} : { nextCursor: cursorOf(last.channel, last.closure) }),
  };
}

async function deferrals({ pool }: ApiDeps, page: Filtered): Promise<DeferralList> {
  const limit = limitOf(page, MOST);
  const [above = '', rollout = ''] = partsOf(page.cursor, 2) ?? [];
  const filter = { channel: channelFilter(page.channel), limit };
  const rows = await pool.run((sql) => listDeferrals(sql, [above, rollout], filter));
  const last = rows.length === limit ? rows.at(-1) : undefined;
  return {
    deferrals: rows.map(({ targetClosure, component, deferredAt, ...row }) => ({
      ...row,
      targetClosureHash: targetClosure,
      ...present({ component, deferredAt }),
    })),
    ...(last === undefined ? {} : { nextCursor: cursorOf(last.hostname, last.rolloutId) }),
  };
}
