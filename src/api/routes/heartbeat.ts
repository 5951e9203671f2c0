/**
 * POST /v1/agent/heartbeat, answered from committed rows. Only one that may change something goes through
 * the queue first, and its answer then follows the commit; all others cost a share of two statements. What
 * it becomes is decided in `hearing.ts`.
 */
import {
  decodeHeartbeat,
  HeartbeatAnswerSchema,
  HeartbeatRequestSchema,
  type Heartbeat,
  type HeartbeatAnswer,
} from '../../wire/agent.ts';
import { ProblemSchema } from '../../wire/problem.ts';
import { isJsonObject, parseJsonText } from '../../wire/text.ts';
import { BODY_LIMIT, EMPTY_BODY, type RawBody } from '../body.ts';
import type { ApiDeps } from '../deps.ts';
import { heardReader } from '../heard.ts';
import { hearHost, snapshotOf, type Room } from '../hearing.ts';
import { callerHost, mustBeOwn } from '../identity/identity.ts';
import { presenceKeeper } from '../keep-presence.ts';
import type { Memory } from '../memory.ts';
import { fromDatabase, Refusal } from '../refusal.ts';
import type { Scope } from '../scope.ts';

export function readHeartbeat(hostname: string, body: RawBody): Heartbeat {
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
  const room: Room = {
    memory,
    hear: heardReader(deps),
    keep: presenceKeeper(deps),
    submit: deps.submit,
    verdictWaitMs: deps.limits.verdictWaitMs,
    onHeard: (path) => {
      deps.metrics.count('muster_api_heartbeats_total', { path });
    },
  };
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
