/**
 * POST /v1/agent/events. An existing agent deletes an event only on 2xx and repeats it for ever otherwise,
 * blocking all later ones: so whatever an authenticated agent posts about its own host is queued, judged
 * and answered 204, if only to be refused. Agents that send `Prefer: verdict` get refusals as problems.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Type } from '@sinclair/typebox';
import type { AgentEventInput, RefusedEventInput } from '../../reducer/input.ts';
import type { Verdict } from '../../reducer/log.ts';
import { EventPostSchema } from '../../wire/agent.ts';
import { decodeHostEvent } from '../../wire/event.ts';
import { isRolloutId, isSeq } from '../../wire/ids.ts';
import { problemCode, ProblemSchema } from '../../wire/problem.ts';
import { isJsonObject, parseJsonText } from '../../wire/text.ts';
import { BODY_LIMIT, EMPTY_BODY, excerptOf, type RawBody } from '../body.ts';
import type { ApiDeps, ApiLimits, Submit, Submitted } from '../deps.ts';
import { callerHost, mustBeOwn } from '../identity/identity.ts';
import type { Memory } from '../memory.ts';
import { notAccepted, Refusal } from '../refusal.ts';
import type { Scope } from '../scope.ts';

type Posted = AgentEventInput | RefusedEventInput;
type RefusedVerdict = Extract<Verdict, { status: 'refused' }>;

/**
 * Events of one host on their way at once. Agents post one after the other; a replay may hold a few dozen.
 * More is a broken agent, which must not take the queue from the others.
 */
const MAX_INSIDE = 64;
const BUSY_RETRY_SECS = 15;

function refusedInput(
  hostname: string,
  body: RawBody,
  found: Pick<RefusedEventInput, 'code' | 'detail'> &
    Partial<Pick<RefusedEventInput, 'seq' | 'rolloutId'>>,
): RefusedEventInput {
  const { code, detail, seq = null, rolloutId = null } = found;
  return { kind: 'RefusedEvent', hostname, rolloutId, code, seq, detail, excerpt: excerptOf(body) };
}

/** The host that the beginning of a body names, where it does: enough to refuse another's. */
const NAMED_HOST = /"hostname"\s*:\s*"([^"\\]{1,253})"/;

/** The input that a body becomes; another host's name is the one thing that becomes none. */
export function readPost(hostname: string, body: RawBody): Posted {
  if (body.tooLarge) {
    const named = NAMED_HOST.exec(excerptOf(body))?.[1];
    if (named !== undefined) mustBeOwn(hostname, named);
    const detail = `the body is larger than ${String(BODY_LIMIT)} bytes; shorten its texts`;
    return refusedInput(hostname, body, { code: 'too-large', detail });
  }
  const parsed = parseJsonText(body.text);
  if (!parsed.ok)
    return refusedInput(hostname, body, { code: 'malformed', detail: parsed.problem });
  const post = parsed.value;
  if (!isJsonObject(post)) {
    const detail = 'the body is no JSON object; send {"hostname", "rolloutId", "event"}';
    return refusedInput(hostname, body, { code: 'malformed', detail });
  }
  if (typeof post['hostname'] === 'string') mustBeOwn(hostname, post['hostname']);
  return readEnvelope(hostname, body, post);
}

function readEnvelope(
  hostname: string,
  body: RawBody,
  post: Readonly<Record<string, unknown>>,
): Posted {
  const { rolloutId, event } = post;
  const seq = isJsonObject(event) && isSeq(event['seq']) ? event['seq'] : null;
  if (typeof post['hostname'] !== 'string') {
    const detail = 'hostname is missing; send the name of the host';
    return refusedInput(hostname, body, { code: 'malformed', detail, seq });
  }
  if (!isRolloutId(rolloutId)) {
    const detail =
      'rolloutId does not match {channel}@{channelRef}; send the id that was dispatched';
    return refusedInput(hostname, body, { code: 'malformed', detail, seq });
  }
  const decoded = decodeHostEvent(event);
  if (!decoded.ok) return refusedInput(hostname, body, { ...decoded, rolloutId });
  return { kind: 'AgentEvent', hostname, rolloutId, event: decoded.event };
}

function prefersVerdict(request: FastifyRequest): boolean {
  const prefer = request.headers['prefer'];
  const wishes = Array.isArray(prefer) ? prefer.join(',') : (prefer ?? '');
  return wishes.split(/[,;]/).some((wish) => wish.trim().toLowerCase() === 'verdict');
}

function answerRefused(
  request: FastifyRequest,
  reply: FastifyReply,
  verdict: RefusedVerdict,
): FastifyReply {
  const { code, detail, state, lastEventSeq } = verdict;
  void reply.header('x-muster-verdict', `refused; code=${code}`);
  if (!prefersVerdict(request)) return reply.code(204).send();
  const known = problemCode(code);
  throw new Refusal(known, detail, { facts: { state, lastEventSeq } });
}

function answer(request: FastifyRequest, reply: FastifyReply, submitted: Submitted): FastifyReply {
  switch (submitted.status) {
    case 'queued':
      return reply.code(202).send();
    case 'unavailable':
      throw notAccepted(submitted.why, submitted.retryAfterSecs);
    case 'invalid':
      throw new Error(`not even a refusal can be stored: ${submitted.detail}`);
    case 'judged':
      return submitted.verdict.status === 'refused'
        ? answerRefused(request, reply, submitted.verdict)
        : reply.code(204).send();
  }
}

function outcomeOf(submitted: Submitted): string {
  return submitted.status === 'judged' ? submitted.verdict.status : submitted.status;
}

const verdictHeader = {
  'X-Muster-Verdict': Type.Optional(
    Type.String({
      description: 'On a refusal: `refused; code=<code>`. The event is kept, and done with.',
    }),
  ),
};

const SCHEMA = {
  summary: 'Report one thing that happened on the host',
  description:
    'Durable on 2xx. 204: judged (applied, a duplicate, or refused with X-Muster-Verdict). 202: queued, no verdict yet; need not be sent again. With `Prefer: verdict` a refusal is 400, 409 or 413.',
  tags: ['agent'],
  headers: Type.Object({ prefer: Type.Optional(Type.String()) }),
  body: EventPostSchema,
  response: {
    202: Type.Null({ description: 'In the queue; no verdict within the wait.' }),
    204: { type: 'null', description: 'Judged.', headers: verdictHeader },
    400: ProblemSchema,
    401: ProblemSchema,
    403: ProblemSchema,
    409: ProblemSchema,
    413: ProblemSchema,
    426: ProblemSchema,
    503: ProblemSchema,
  },
};

/** An event that the database can never store must not be repeated for ever: kept without its text. */
function unstorable({ hostname }: Posted): RefusedEventInput {
  const detail = 'the event holds a value that cannot be stored; send plain text and numbers';
  const body = EMPTY_BODY;
  return refusedInput(hostname, body, { code: 'malformed', detail });
}

/**
 * Any answer but 2xx leaves the event with its agent: no snapshot may overtake it. Noted before the answer
 * leaves, because the agent's next heartbeat may follow at once.
 */
function missHooks(memory: Memory) {
  const note = ({ identity }: FastifyRequest): void => {
    if (identity?.kind === 'agent') memory.noteMiss(identity.hostname);
  };
  return {
    onSend: (
      request: FastifyRequest,
      reply: FastifyReply,
      _payload: unknown,
      done: () => void,
    ): void => {
      if (reply.statusCode >= 300) note(request);
      done();
    },
    onRequestAbort: (request: FastifyRequest, done: () => void): void => {
      note(request);
      done();
    },
  };
}

/** Hands an event to the queue; the host's heartbeats know of it meanwhile. */
export async function submitOne(
  deps: { readonly submit: Submit; readonly limits: Pick<ApiLimits, 'verdictWaitMs'> },
  memory: Memory,
  input: Posted,
): Promise<Submitted> {
  if (memory.inside(input.hostname) >= MAX_INSIDE) {
    return { status: 'unavailable', why: 'host-busy', retryAfterSecs: BUSY_RETRY_SECS };
  }
  const leave = memory.enter(input.hostname);
  const wait = { waitMs: deps.limits.verdictWaitMs };
  try {
    const submitted = await deps.submit(input, wait);
    return submitted.status === 'invalid' ? await deps.submit(unstorable(input), wait) : submitted;
  } finally {
    leave();
  }
}

export function addEvents(scope: Scope, deps: ApiDeps, memory: Memory): void {
  scope.post<{ Body: RawBody | undefined }>(
    '/v1/agent/events',
    // The schema is for documentation: bodies are read by hand, so that bad ones can be kept.
    {
      schema: SCHEMA,
      config: { audience: 'agent' },
      validatorCompiler: () => () => true,
      ...missHooks(memory),
    },
    async (request, reply) => {
      const input = readPost(callerHost(request), request.body ?? EMPTY_BODY);
      const submitted = await submitOne(deps, memory, input);
      deps.metrics.count('muster_api_events_total', { outcome: outcomeOf(submitted) });
      return answer(request, reply, submitted);
    },
  );
}
