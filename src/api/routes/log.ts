/** GET /v1/events and /v1/events/stream: the event log, page by page and as it grows. */
import type { FastifyReply } from 'fastify';
import { Type } from '@sinclair/typebox';
import type { Static } from '@sinclair/typebox';
import { readHostSeen } from '../../db/hosts.ts';
import { readTail, type Tail, type TailFilter } from '../../eventlog/tail.ts';
import { isHostname, isRolloutId } from '../../wire/ids.ts';
import {
  formatCursor,
  LogPageQuerySchema,
  LogPageSchema,
  LogStreamQuerySchema,
  parseCursor,
  type LogCursor,
  type LogFilterSchema,
  type LogPage,
  type LogPageQuery,
} from '../../wire/log-event.ts';
import { ProblemSchema } from '../../wire/problem.ts';
import type { ApiDeps } from '../deps.ts';
import { logEvent } from '../log-event.ts';
import type { LogStreams, Sink, StreamStart } from '../log-stream.ts';
import { fromDatabase, Refusal } from '../refusal.ts';
import type { Scope } from '../scope.ts';
import { OPERATOR } from './operator/reading.ts';

/** Some 600 kB; fewer where they are large (`eventlog/large-rows.ts`). */
const MOST_ROWS = 1_000;
/** What a slow client may leave unread here before rows wait in the database: 500 of them hold 128 MB. */
const MOST_UNREAD_BYTES = 256 * 1_024;

const PROBLEMS = {
  400: ProblemSchema,
  401: ProblemSchema,
  403: ProblemSchema,
  426: ProblemSchema,
  429: ProblemSchema,
  503: ProblemSchema,
};

const PAGE = {
  summary: 'The event log, in order of commits',
  description:
    'Gapless and append only: a cursor never misses a row. 409 when the database was restored since it was given.',
  tags: ['operator'],
  querystring: LogPageQuerySchema,
  response: { 200: LogPageSchema, 409: ProblemSchema, ...PROBLEMS },
};

const STREAM = {
  summary: 'The event log as it grows, as server-sent events',
  description:
    'Each `event: log` holds one event and the cursor as its id; send the last id as Last-Event-ID to go on after it. Without one the stream begins now. `event: incarnation`: the database was restored or promoted, compare what you keep. `event: missing`: rows that retention has detached.',
  tags: ['operator'],
  querystring: LogStreamQuerySchema,
  response: {
    200: { content: { 'text/event-stream': { schema: Type.String() } } },
    ...PROBLEMS,
  },
};

export function addLog(scope: Scope, deps: ApiDeps, streams: LogStreams): void {
  scope.get('/v1/events', { config: OPERATOR, schema: PAGE }, (request) =>
    fromDatabase(deps.log, () => page(deps, request.query)),
  );
  scope.get('/v1/events/stream', { config: OPERATOR, schema: STREAM }, async (request, reply) => {
    const filter = await fromDatabase(deps.log, () => filterOf(deps, request.query));
    const id = request.headers['last-event-id'] ?? request.query.after;
    const from = typeof id === 'string' && id !== '' ? cursorOf(id) : null;
    const at = await fromDatabase(deps.log, () => streams.begin(from));
    void reply.hijack();
    const isAdmitted = (): Promise<boolean> => request.server.isStillAdmitted(request);
    const whole = request.query.whole === 'true';
    pour(streams, reply, { filter, at, whole, isAdmitted });
  });
}

async function filterOf(
  { pool }: ApiDeps,
  { kind, rollout, host }: Static<typeof LogFilterSchema>,
): Promise<TailFilter> {
  if (rollout !== undefined && !isRolloutId(rollout)) {
    throw new Refusal('malformed', 'rollout is a rollout id, {channel}@{channelRef}');
  }
  if (host !== undefined && !isHostname(host)) {
    throw new Refusal('malformed', 'host is a host name');
  }
  if (host === undefined) return { kind, rolloutId: rollout };
  const [seen] = await pool.run((sql) => readHostSeen(sql, host));
  return { kind, rolloutId: rollout, host: { hostname: host, channel: seen?.channel ?? null } };
}

function cursorOf(text: string): LogCursor {
  const cursor = parseCursor(text);
  if (cursor !== null) return cursor;
  throw new Refusal('bad-cursor', 'a log cursor is <incarnation>:<seq>; start without one');
}

async function page(deps: ApiDeps, query: LogPageQuery): Promise<LogPage> {
  const { pool } = deps;
  const filter = await filterOf(deps, query);
  if (query.last !== undefined && query.after !== undefined) {
    throw new Refusal('malformed', 'last and after exclude each other');
  }
  if (query.before !== undefined && query.last === undefined) {
    throw new Refusal('malformed', 'before goes with last');
  }
  const given = query.after ?? query.before;
  const from = given === undefined ? null : cursorOf(given);
  const before = query.before === undefined ? undefined : from?.seq;
  const limit = Math.min(query.last ?? query.limit ?? MOST_ROWS, MOST_ROWS);
  const after = query.last === undefined ? (from?.seq ?? 0) : null;
  const whole = query.whole === 'true';
  const tail = await pool.run((sql) => readTail(sql, { ...filter, after, before, limit, whole }));
  if (tail === null) throw new Refusal('not-ready', 'no leader has begun the log yet');
  if (from !== null && (from.incarnation !== tail.incarnation || from.seq > tail.head)) {
    throw new Refusal('stale-cursor', 'the database was restored since; start without a cursor');
  }
  return pageOf(tail, after, before);
}

function pageOf(tail: Tail, after: number | null, before: number | undefined): LogPage {
  const { incarnation, head, floor, rows } = tail;
  const more = after !== null && tail.more;
  const seq = more ? (rows.at(-1)?.seq ?? head) : before === undefined ? head : before - 1;
  const first = after === null && tail.more ? rows[0]?.seq : undefined;
  const earlier = first !== undefined && first > floor ? first : undefined;
  const gone = after !== null && after + 1 < floor;
  return {
    events: rows.map(logEvent),
    cursor: formatCursor({ incarnation, seq }),
    more,
    ...(earlier === undefined ? {} : { earlier: formatCursor({ incarnation, seq: earlier }) }),
    ...(gone ? { missing: { from: after + 1, to: floor - 1 } } : {}),
  };
}

function pour(streams: LogStreams, reply: FastifyReply, start: Omit<StreamStart, 'sink'>): void {
  const { raw } = reply;
  for (const [name, value] of Object.entries(reply.getHeaders())) {
    if (value !== undefined) raw.setHeader(name, value);
  }
  raw.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    // Nothing else follows on it; a kept connection would outlive the end of this process's patience.
    connection: 'close',
    // nginx would gather what must be seen at once.
    'x-accel-buffering': 'no',
  });
  const sink: Sink = {
    send: (text) => raw.write(text) || raw.writableLength < MOST_UNREAD_BYTES,
    end: () => raw.end(),
  };
  const stream = streams.start({ ...start, sink });
  raw.on('drain', () => {
    streams.resume(stream);
  });
  raw.once('close', () => {
    streams.close(stream);
  });
  if (raw.closed) streams.close(stream);
}
