/** Rollouts: all of them, one of them, its hosts, and its rows of the log. */
import { type Static, Type } from '@sinclair/typebox';
import {
  countWaves,
  listRolloutHosts,
  listRollouts,
  readRollout,
  type RolloutRow,
  type WaveCountRow,
} from '../../../db/rollouts.ts';
import { readTail } from '../../../eventlog/tail.ts';
import { formatCursor, parseCursor, WholeSchema } from '../../../wire/log-event.ts';
import { REF_START } from '../../../wire/ids.ts';
import { LISTED_STATES, ROLLOUT_STATE_NAMES } from '../../../wire/states.ts';
import {
  LifecycleSchema,
  RolloutEventsSchema,
  RolloutHostsSchema,
  RolloutListSchema,
  type Lifecycle,
  type RolloutEvents,
  type RolloutHosts,
  type RolloutList,
} from '../../../wire/operator.ts';
import type { ApiDeps } from '../../deps.ts';
import { fromDatabase, Refusal } from '../../refusal.ts';
import type { Scope } from '../../scope.ts';
import {
  about,
  aboutCommitted,
  badCursor,
  channelFilter,
  choiceOf,
  cursorOf,
  isUnchanged,
  limitOf,
  numberCursor,
  oncePerCommit,
  OPERATOR,
  PAGE_PARAMS,
  partsOf,
  present,
  rolloutIdOf,
  RolloutParams,
  type Page,
} from './reading.ts';

const MOST_ROLLOUTS = 50;
/** Hosts whose states one page names: some 1 MB. One rollout comes whole, however large. */
const MOST_STATES = 20_000;
const MOST_HOSTS = 1_000;
const MOST_EVENTS = 1_000;

const Flag = (description: string) =>
  Type.Optional(Type.Union([Type.Literal('true'), Type.Literal('false')], { description }));
const ListQuery = Type.Object({
  ...PAGE_PARAMS,
  channel: Type.Optional(Type.String({ description: 'Of this channel only.' })),
  ref: Type.Optional(Type.String({ description: 'Those whose ref begins so.' })),
  state: Type.Optional(
    Type.String({
      description: `One of ${ROLLOUT_STATE_NAMES.join(', ')}; without it, all but Pruned ones.`,
    }),
  ),
  hosts: Flag('false: without hostStates, which is much for large fleets.'),
});
const HostsQuery = Type.Object({
  ...PAGE_PARAMS,
  all: Flag('true: hosts that were not dispatched too.'),
  wave: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000 })),
  state: Type.Optional(Type.String({ description: `One of ${LISTED_STATES.join(', ')}.` })),
});

const EventsQuery = Type.Object({ ...PAGE_PARAMS, whole: Type.Optional(WholeSchema) });

interface ListFilter extends Page {
  readonly channel?: string;
  readonly ref?: string;
  readonly state?: string;
  readonly hosts?: 'true' | 'false';
}
interface HostsFilter extends Page {
  readonly all?: 'true' | 'false';
  readonly wave?: number;
  readonly state?: string;
}

export function addRollouts(scope: Scope, deps: ApiDeps): void {
  const { log } = deps;
  const listed = oncePerCommit((query: ListFilter) => rollouts(deps, query));
  scope.get(
    '/v1/rollouts',
    {
      config: OPERATOR,
      schema: {
        ...aboutCommitted('All rollouts, newest first', RolloutListSchema),
        querystring: ListQuery,
      },
    },
    (request, reply) =>
      fromDatabase(log, async () => {
        if (await isUnchanged(deps, request, reply)) return reply;
        const { list, states } = await listed(reply, request.query);
        void reply.type('application/json; charset=utf-8');
        return reply.serializer((page: RolloutList) => textOf(page, states)).send(list);
      }),
  );
  scope.get(
    '/v1/rollouts/:id/lifecycle',
    {
      config: OPERATOR,
      schema: {
        ...aboutCommitted('Where a rollout stands, wave by wave', LifecycleSchema),
        params: RolloutParams,
      },
    },
    (request, reply) =>
      fromDatabase(log, async () => {
        const id = rolloutIdOf(request.params.id);
        return (await isUnchanged(deps, request, reply)) ? reply : lifecycle(deps, id);
      }),
  );
  addOfRollout(scope, deps);
}

function addOfRollout(scope: Scope, deps: ApiDeps): void {
  const { log } = deps;
  scope.get(
    '/v1/rollouts/:id/hosts',
    {
      config: OPERATOR,
      schema: {
        ...aboutCommitted('Hosts of a rollout, in order of wave and name', RolloutHostsSchema),
        params: RolloutParams,
        querystring: HostsQuery,
      },
    },
    (request, reply) =>
      fromDatabase(log, async () => {
        const id = rolloutIdOf(request.params.id);
        return (await isUnchanged(deps, request, reply))
          ? reply
          : rolloutHosts(deps, id, request.query);
      }),
  );
  scope.get(
    '/v1/rollouts/:id/events',
    {
      config: OPERATOR,
      schema: {
        ...about("A rollout's rows of the event log, in order", RolloutEventsSchema),
        params: RolloutParams,
        querystring: EventsQuery,
      },
    },
    (request) =>
      fromDatabase(log, () => rolloutEvents(deps, rolloutIdOf(request.params.id), request.query)),
  );
}

interface RolloutPage {
  readonly list: RolloutList;
  /** Of each rollout of the list its `hostStates`, as the database wrote them. */
  readonly states: readonly (string | null)[];
}

function textOf({ rollouts, nextCursor }: RolloutList, states: RolloutPage['states']): string {
  const texts = rollouts.map((rollout, i) => {
    const [text, own] = [JSON.stringify(rollout), states[i] ?? null];
    return own === null ? text : `${text.slice(0, -1)},"hostStates":${own}}`;
  });
  const more = nextCursor === undefined ? '' : `,"nextCursor":${JSON.stringify(nextCursor)}`;
  return `{"rollouts":[${texts.join(',')}]${more}}`;
}

async function rollouts({ pool }: ApiDeps, query: ListFilter): Promise<RolloutPage> {
  const limit = limitOf(query, MOST_ROLLOUTS);
  const filter = {
    belowOrdinal: numberCursor(query.cursor, Number.MAX_SAFE_INTEGER),
    limit,
    channel: channelFilter(query.channel),
    ref: refFilter(query.ref),
    state: choiceOf('state', query.state, ROLLOUT_STATE_NAMES),
    hosts: query.hosts === 'false' ? 0 : MOST_STATES,
  };
  const rows = await pool.run((sql) => listRollouts(sql, filter));
  const last = rows.at(-1);
  // A page may be short because its hosts are many.
  const found = rows[0]?.found ?? 0;
  const more = found === limit || rows.length < found;
  return {
    list: {
      rollouts: rows.map((row) => ({
        rolloutId: row.rollout_id,
        seq: row.seq,
        channel: row.channel,
        state: row.state,
        currentWave: row.current_wave,
        waves: row.waves,
        createdAt: row.opened_at,
      })),
      ...(last === undefined || !more ? {} : { nextCursor: String(last.ordinal) }),
    },
    states: rows.map((row) => row.host_states),
  };
}

function refFilter(ref: string | undefined): string | null {
  if (ref === undefined || REF_START.test(ref)) return ref ?? null;
  throw new Refusal('malformed', 'ref is the beginning of a ref: digits and a to f');
}

async function mustRead({ pool }: ApiDeps, id: string): Promise<RolloutRow> {
  const row = await pool.run((sql) => readRollout(sql, id));
  if (row !== null) return row;
  throw new Refusal('not-found', `there is no rollout ${id}`);
}

async function lifecycle(deps: ApiDeps, id: string): Promise<Lifecycle> {
  const row = await mustRead(deps, id);
  const counts = await deps.pool.run((sql) => countWaves(sql, id));
  const { supersededAt, supersededBy, terminalAt, failedAt, endedAt, exceptions, ...rest } = row;
  const { soakMinutes, blockers, ...plain } = rest;
  return {
    ...plain,
    blockers: [...blockers],
    ...present({ supersededAt, supersededBy, terminalAt, failedAt, endedAt, exceptions }),
    waves: soakMinutes.map((soak, wave) => waveOf(counts, wave, soak)),
  };
}

function waveOf(
  counts: readonly WaveCountRow[],
  wave: number,
  soakMinutes: number,
): Lifecycle['waves'][number] {
  const own = counts.filter((row) => row.wave === wave);
  return {
    wave,
    soakMinutes,
    hosts: own.reduce((sum, { n }) => sum + n, 0),
    states: Object.fromEntries(own.map(({ state, n }) => [state, n])),
  };
}

async function rolloutHosts(deps: ApiDeps, id: string, query: HostsFilter): Promise<RolloutHosts> {
  await mustRead(deps, id);
  const limit = limitOf(query, MOST_HOSTS);
  const [wave = '-1', hostname = ''] = partsOf(query.cursor, 2) ?? [];
  if (!/^-?\d{1,4}$/.test(wave)) throw badCursor();
  const rows = await deps.pool.run((sql) =>
    listRolloutHosts(sql, id, {
      above: [Number(wave), hostname],
      limit,
      all: query.all === 'true',
      wave: query.wave ?? null,
      state: choiceOf('state', query.state, LISTED_STATES),
    }),
  );
  const last = rows.length === limit ? rows.at(-1) : undefined;
  return {
    rollout_id: id,
    hosts: rows.map((row) => ({
      host: row.hostname,
      channel: row.channel,
      wave: row.wave,
      targetClosureHash: row.target_closure,
      targetChannelRef: row.channel_ref,
      state: row.state,
      blocked: row.blocked,
      ...present({ dispatchedAt: row.dispatched_at, soakDueAt: row.soak_due_at }),
      ...present({ closed: row.closed }),
      ...present({ terminalState: row.terminal_state, terminalAt: row.terminal_at }),
    })),
    ...(last === undefined ? {} : { nextCursor: cursorOf(last.wave, last.hostname) }),
  };
}

/** A log cursor is `<incarnation>:<seq>`: a restored database is another log. */
async function rolloutEvents(
  deps: ApiDeps,
  id: string,
  page: Static<typeof EventsQuery>,
): Promise<RolloutEvents> {
  await mustRead(deps, id);
  const limit = limitOf(page, MOST_EVENTS);
  const from = page.cursor === undefined ? null : parseCursor(page.cursor);
  if (page.cursor !== undefined && from === null) throw badCursor();
  const tail = await deps.pool.run((sql) =>
    readTail(sql, { rolloutId: id, after: from?.seq ?? 0, limit, whole: page.whole === 'true' }),
  );
  const { incarnation = '', rows = [], more = false } = tail ?? {};
  if (from !== null && from.incarnation !== incarnation) {
    throw new Refusal('stale-cursor', 'the database was restored since; start without a cursor');
  }
  const last = more ? rows.at(-1) : undefined;
  return {
    rollout_id: id,
    events: rows.map(({ seq, ts, kind, hostname, payload, omitted = null }) => ({
      seq,
      ts,
      kind,
      payload,
      ...present({ host: hostname, omitted }),
    })),
    ...(last === undefined ? {} : { nextCursor: formatCursor({ incarnation, seq: last.seq }) }),
  };
}
