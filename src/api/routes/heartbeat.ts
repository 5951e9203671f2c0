/**
 * POST /v1/agent/heartbeat, answered from committed rows. Only one that may change something goes through
 * the queue first, and its answer then follows the commit; all others cost a share of two statements.
 */
import { writePresence, type PresenceRow } from '../../db/presence.ts';
import {
  bootstrap,
  mayChange,
  replayFrom,
  snapshotSeq,
  type HeardRecord,
} from '../../reducer/read/heartbeat.ts';
import {
  decodeHeartbeat,
  HeartbeatAnswerSchema,
  HeartbeatRequestSchema,
  type Heartbeat,
  type HeartbeatAnswer,
  type Snapshot,
} from '../../wire/agent.ts';
import { ProblemSchema } from '../../wire/problem.ts';
import { isJsonObject, parseJsonText } from '../../wire/text.ts';
import { BODY_LIMIT, EMPTY_BODY, type RawBody } from '../body.ts';
import type { ApiDeps } from '../deps.ts';
import { gather } from '../gather.ts';
import { heardReader, type Heard, type Question } from '../heard.ts';
import { callerHost, mustBeOwn } from '../identity.ts';
import type { Memory, Watch } from '../memory.ts';
import { fromDatabase, Refusal } from '../refusal.ts';
import type { Scope } from '../scope.ts';
import { notAccepted } from './events.ts';

/** A host heartbeats every minute: two within this mean that its agent began anew. */
const RESTART_MS = 10_000;

interface Room {
  readonly deps: ApiDeps;
  readonly memory: Memory;
  readonly hear: (question: Question) => Promise<Heard>;
  readonly keep: (row: PresenceRow) => Promise<true>;
}

function readHeartbeat(hostname: string, body: RawBody): Heartbeat {
  if (body.tooLarge) throw new Refusal('too-large', `send at most ${String(BODY_LIMIT)} bytes`);
  const parsed = parseJsonText(body.text);
  if (!parsed.ok) throw new Refusal('malformed', parsed.problem);
  if (isJsonObject(parsed.value) && typeof parsed.value['hostname'] === 'string') {
    mustBeOwn(hostname, parsed.value['hostname']);
  }
  const decoded = decodeHeartbeat(parsed.value);
  if (!decoded.ok) throw new Refusal('malformed', decoded.detail);
  return decoded.heartbeat;
}

function questionOf(heartbeat: Heartbeat): Question {
  const named = heartbeat.rolloutId === null ? [] : [heartbeat.rolloutId];
  return {
    hostname: heartbeat.hostname,
    stated: [...Object.keys(heartbeat.lastEventSeqByRollout), ...named],
  };
}

function presenceOf(heartbeat: Heartbeat, said: readonly string[] | null): PresenceRow {
  return {
    hostname: heartbeat.hostname,
    closure: heartbeat.currentClosure,
    agentVersion: heartbeat.agentVersion,
    uptimeSecs: heartbeat.uptimeSecs,
    lastEventSeqByRollout: JSON.stringify(heartbeat.lastEventSeqByRollout),
    replaySaid: said === null ? null : said.join(' '),
  };
}

/** Queues the report and reads again what became of it; an input still queued shows in `queued`. */
async function report(room: Room, heartbeat: Heartbeat): Promise<Heard> {
  const { hostname, at, currentClosure, rolloutId, agentVersion, lastEventSeqByRollout } =
    heartbeat;
  const submitted = await room.deps.submit(
    {
      kind: 'HostReport',
      ...{ hostname, at, currentClosure, rolloutId, agentVersion, lastEventSeqByRollout },
    },
    { waitMs: room.deps.limits.verdictWaitMs },
  );
  if (submitted.status === 'unavailable') {
    throw notAccepted(submitted.why, submitted.retryAfterSecs);
  }
  if (submitted.status === 'invalid') {
    throw new Refusal(
      'malformed',
      'the heartbeat holds a value that cannot be stored; send plain text',
    );
  }
  return room.hear(questionOf(heartbeat));
}

function optional<K extends string>(key: K, value: string | null): { [P in K]?: string } {
  const found: { [P in K]?: string } = {};
  if (value !== null) found[key] = value;
  return found;
}

function snapshotOf(record: HeardRecord, receivedAt: string): Snapshot {
  const { rolloutId, hostname, channel, state, targetClosure } = record;
  return {
    ...{ rolloutId, hostname, channel, state, targetClosure },
    ...optional('currentClosureAtDispatch', record.currentClosureAtDispatch),
    ...optional('currentClosure', record.currentClosure),
    // A state that was synthesised without a dispatch still needs one here: agents require it.
    dispatchedAt: record.dispatchedAt ?? record.synthesisedAt ?? receivedAt,
    ...optional('dispatchAckedAt', record.dispatchAckedAt),
    ...optional('activationStartedAt', record.activationStartedAt),
    ...optional('activationCompletedAt', record.activationCompletedAt),
    ...optional('soakDueAt', record.soakDueAt),
    lastEventSeq: snapshotSeq(record),
  };
}

interface Reaction {
  readonly replay: number | null;
  /** Null: nothing was said this time. */
  readonly said: readonly string[] | null;
  readonly records: readonly HeardRecord[];
}

/** `before` is what was known when the heartbeat came, `now` what is known after its report. */
interface Known {
  readonly before: Heard;
  readonly now: Heard;
  readonly watch: Watch;
}

function react({ memory }: Room, heartbeat: Heartbeat, { before, now, watch }: Known): Reaction {
  const queued = now.queued || watch.touched;
  if (queued) return { replay: null, said: null, records: [] };
  const replay = replayFrom(now, heartbeat, now.said);
  const recently = before.heardMsAgo !== null && before.heardMsAgo < RESTART_MS;
  const records = bootstrap(now, heartbeat, {
    queued,
    missedLately: now.missedLately,
    shedLately: memory.shedLately(),
    restarted: recently || before.reachability === 'unreachable',
  });
  const changed = replay.said.join(' ') !== now.said.join(' ');
  return { replay: replay.from, said: changed ? replay.said : null, records };
}

async function hearHost(room: Room, heartbeat: Heartbeat): Promise<Reaction> {
  const watch = room.memory.watch(heartbeat.hostname);
  try {
    return await hearWatched(room, heartbeat, watch);
  } finally {
    watch.end();
  }
}

async function hearWatched(room: Room, heartbeat: Heartbeat, watch: Watch): Promise<Reaction> {
  const { deps, hear, keep } = room;
  const before = await hear(questionOf(heartbeat));
  const reports = mayChange(before, heartbeat);
  deps.metrics.count('muster_api_heartbeats_total', { path: reports ? 'input' : 'read' });
  if (!reports) {
    const reaction = react(room, heartbeat, { before, now: before, watch });
    await keep(presenceOf(heartbeat, reaction.said));
    return reaction;
  }
  // The host was heard, whatever becomes of its report.
  const [, now] = await Promise.all([keep(presenceOf(heartbeat, null)), report(room, heartbeat)]);
  const reaction = react(room, heartbeat, { before, now, watch });
  if (reaction.said !== null) await keep(presenceOf(heartbeat, reaction.said));
  return reaction;
}

function presenceKeeper({ pool, metrics, replica }: ApiDeps): (row: PresenceRow) => Promise<true> {
  return gather<PresenceRow, true>({
    onRun: (size) => {
      metrics.observe('muster_api_gathered_rows', { statement: 'presence' }, size);
    },
    run: async (rows) => {
      await pool.run((sql) => writePresence(sql, replica, rows));
      return rows.map(() => true as const);
    },
  });
}

const SCHEMA = {
  summary: 'Say that the host is alive and what it runs',
  description:
    'X-Nixfleet-Replay-From asks the agent to post again whatever lies above that seq. bootstrap_rollouts hands back the state of an agent that seems to have lost its own.',
  tags: ['agent'],
  body: HeartbeatRequestSchema,
  response: {
    200: HeartbeatAnswerSchema,
    400: ProblemSchema,
    401: ProblemSchema,
    403: ProblemSchema,
    413: ProblemSchema,
    426: ProblemSchema,
    503: ProblemSchema,
  },
};

export function addHeartbeat(scope: Scope, deps: ApiDeps, memory: Memory): void {
  const room: Room = { deps, memory, hear: heardReader(deps), keep: presenceKeeper(deps) };
  scope.post<{ Body: RawBody | undefined }>(
    '/v1/agent/heartbeat',
    { schema: SCHEMA, config: { audience: 'agent' }, validatorCompiler: () => () => true },
    async (request, reply) => {
      const heartbeat = readHeartbeat(callerHost(request), request.body ?? EMPTY_BODY);
      const receivedAt = new Date(deps.clock.now()).toISOString();
      const { replay, records } = await fromDatabase(deps.log, () => hearHost(room, heartbeat));
      const answer: HeartbeatAnswer = { received_at: receivedAt };
      if (replay !== null) {
        deps.metrics.count('muster_api_replays_total', {});
        void reply.header('x-nixfleet-replay-from', String(replay));
      }
      if (records.length > 0) {
        deps.metrics.count('muster_api_snapshots_total', {}, records.length);
        answer.bootstrap_rollouts = records.map((record) => snapshotOf(record, receivedAt));
      }
      return reply.send(answer);
    },
  );
}
