/** What operators read, in the shapes that NixFleet's tools know. Lists are walked by key. */
import { type Static, type TSchema, Type } from '@sinclair/typebox';
import {
  listHosts,
  listRolloutEvents,
  listRolloutHosts,
  listRollouts,
  readIncarnation,
  rolloutExists,
  type HostListRow,
} from '../../db/reads.ts';
import { isHostname, isRolloutId } from '../../wire/ids.ts';
import {
  HostListSchema,
  RolloutEventsSchema,
  RolloutHostsSchema,
  RolloutListSchema,
  type HostList,
  type RolloutEvents,
  type RolloutHosts,
  type RolloutList,
} from '../../wire/operator.ts';
import { ProblemSchema } from '../../wire/problem.ts';
import type { ApiDeps } from '../deps.ts';
import { fromDatabase, Refusal } from '../refusal.ts';
import type { Scope } from '../scope.ts';

const MOST_ROLLOUTS = 50;
const MOST_HOSTS = 1_000;
const MOST_EVENTS = 1_000;

const PageSchema = Type.Object({
  limit: Type.Optional(Type.String({ description: 'Entries of one page.' })),
  cursor: Type.Optional(Type.String({ description: 'nextCursor of the page before.' })),
});
type Page = Static<typeof PageSchema>;

function limitOf({ limit }: Page, most: number): number {
  if (limit === undefined) return most;
  const wanted = Number(limit);
  // More than a page is a page, so that a client may ask for "all" and walk; a number of 20 digits is junk.
  if (/^\d{1,9}$/.test(limit) && wanted >= 1) return Math.min(wanted, most);
  throw new Refusal('malformed', `limit is a whole number from 1 to ${String(most)}`);
}

function numberCursor(cursor: string | undefined, first: number): number {
  if (cursor === undefined) return first;
  const value = Number(cursor);
  if (/^\d{1,16}$/.test(cursor) && Number.isSafeInteger(value)) return value;
  throw new Refusal('bad-cursor', 'cursor is not one that this list gave; start without one');
}

function rolloutIdOf(id: string): string {
  if (isRolloutId(id)) return id;
  throw new Refusal('malformed', 'a rollout id is {channel}@{channelRef}');
}

/** Absent members are left out, never null. */
function present<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], null> } {
  const kept: { [K in keyof T]?: Exclude<T[K], null> } = {};
  for (const key in fields) {
    const value = fields[key];
    if (value !== null) kept[key] = value as Exclude<T[typeof key], null>;
  }
  return kept;
}

const RolloutParams = Type.Object({ id: Type.String({ description: '{channel}@{channelRef}' }) });

const PROBLEM_ANSWERS = {
  400: ProblemSchema,
  401: ProblemSchema,
  403: ProblemSchema,
  404: ProblemSchema,
  409: ProblemSchema,
  426: ProblemSchema,
  503: ProblemSchema,
};

/** What all of these routes share; each adds what it takes. */
function about<T extends TSchema>(summary: string, answer: T) {
  return { summary, tags: ['operator'], response: { 200: answer, ...PROBLEM_ANSWERS } };
}

export function addOperator(scope: Scope, deps: ApiDeps): void {
  const { log } = deps;
  const config = { audience: 'operator' } as const;
  scope.get(
    '/v1/rollouts',
    {
      config,
      schema: {
        ...about('All rollouts, newest first', RolloutListSchema),
        querystring: PageSchema,
      },
    },
    (request) => fromDatabase(log, () => rollouts(deps, request.query)),
  );
  scope.get(
    '/v1/rollouts/:id/hosts',
    {
      config,
      schema: {
        ...about('Hosts of a rollout that were dispatched', RolloutHostsSchema),
        params: RolloutParams,
      },
    },
    (request) => fromDatabase(log, () => rolloutHosts(deps, rolloutIdOf(request.params.id))),
  );
  scope.get(
    '/v1/rollouts/:id/events',
    {
      config,
      schema: {
        ...about("A rollout's rows of the event log, in order", RolloutEventsSchema),
        params: RolloutParams,
        querystring: PageSchema,
      },
    },
    (request) =>
      fromDatabase(log, () => rolloutEvents(deps, rolloutIdOf(request.params.id), request.query)),
  );
  scope.get(
    '/v1/hosts',
    { config, schema: { ...about('All hosts by name', HostListSchema), querystring: PageSchema } },
    (request) => fromDatabase(log, () => hosts(deps, request.query)),
  );
}

async function rollouts({ pool }: ApiDeps, page: Page): Promise<RolloutList> {
  const limit = limitOf(page, MOST_ROLLOUTS);
  const below = numberCursor(page.cursor, Number.MAX_SAFE_INTEGER);
  const rows = await pool.run((sql) => listRollouts(sql, below, limit));
  const last = rows.length === limit ? rows.at(-1) : undefined;
  return {
    rollouts: rows.map((row) => ({
      rolloutId: row.rollout_id,
      channel: row.channel,
      state: row.state,
      currentWave: row.current_wave,
      createdAt: row.opened_at,
      hostStates: row.host_states,
    })),
    ...(last === undefined ? {} : { nextCursor: String(last.ordinal) }),
  };
}

async function mustExist({ pool }: ApiDeps, id: string): Promise<void> {
  if (await pool.run((sql) => rolloutExists(sql, id))) return;
  throw new Refusal('not-found', `there is no rollout ${id}`);
}

async function rolloutHosts(deps: ApiDeps, id: string): Promise<RolloutHosts> {
  await mustExist(deps, id);
  const rows = await deps.pool.run((sql) => listRolloutHosts(sql, id));
  return {
    rollout_id: id,
    hosts: rows.map((row) => ({
      host: row.hostname,
      channel: row.channel,
      wave: row.wave,
      targetClosureHash: row.target_closure,
      targetChannelRef: row.channel_ref,
      dispatchedAt: row.dispatched_at,
      ...present({ terminalState: row.terminal_state, terminalAt: row.terminal_at }),
    })),
  };
}

/** A log cursor is `<incarnation>:<seq>`: a restored database is another log. */
async function rolloutEvents(deps: ApiDeps, id: string, page: Page): Promise<RolloutEvents> {
  await mustExist(deps, id);
  const limit = limitOf(page, MOST_EVENTS);
  const incarnation = (await deps.pool.run(readIncarnation)) ?? '';
  const above = logCursor(page.cursor, incarnation);
  const rows = await deps.pool.run((sql) => listRolloutEvents(sql, id, above, limit));
  const last = rows.length === limit ? rows.at(-1) : undefined;
  return {
    rollout_id: id,
    events: rows.map(({ seq, ts, kind, hostname, payload }) => ({
      seq,
      ts,
      kind,
      payload,
      ...present({ host: hostname }),
    })),
    ...(last === undefined ? {} : { nextCursor: `${incarnation}:${String(last.seq)}` }),
  };
}

function logCursor(cursor: string | undefined, incarnation: string): number {
  if (cursor === undefined) return 0;
  const [known, seq = ''] = cursor.split(/:(?=\d+$)/);
  const above = numberCursor(seq, 0);
  if (known === incarnation) return above;
  throw new Refusal('stale-cursor', 'the database was restored since; start without a cursor');
}

async function hosts({ pool }: ApiDeps, page: Page): Promise<HostList> {
  const limit = limitOf(page, MOST_HOSTS);
  const rows = await pool.run((sql) => listHosts(sql, hostCursor(page.cursor), limit));
  const last = rows.length === limit ? rows.at(-1) : undefined;
  return {
    hosts: rows.map(hostOf),
    ...(last === undefined ? {} : { nextCursor: last.hostname }),
  };
}

/** The last name of the page before. */
function hostCursor(cursor: string | undefined): string {
  if (cursor === undefined || isHostname(cursor)) return cursor ?? '';
  throw new Refusal('bad-cursor', 'cursor is not one that this list gave; start without one');
}

function hostOf(row: HostListRow): HostList['hosts'][number] {
  const pending = row.state === 'Activating' || row.state === 'Deferred';
  return {
    hostname: row.hostname,
    channel: row.channel,
    converged: row.reported_closure !== null && row.reported_closure === row.declared,
    outstandingComplianceFailures: row.control_failures,
    outstandingRuntimeGateErrors: 0,
    verifiedEventCount: row.last_event_seq ?? 0,
    pendingReboot: row.state === 'Deferred',
    outstandingHealthFailures: row.probe_failures,
    ...present({
      declaredClosureHash: row.declared,
      currentClosureHash: row.reported_closure,
      pendingClosureHash: pending ? row.target_closure : null,
      lastCheckinAt: row.heard_at,
      lastRolloutId: row.rollout_id,
      lastUptimeSecs: row.uptime_secs,
      rolloutState: row.state,
      quarantinedClosure: row.quarantined ? row.declared : null,
    }),
  };
}
