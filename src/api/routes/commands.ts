/**
 * Operator commands: one route for each entry of the list in `wire/command.ts`. A command becomes an input
 * like any other; its answer is what the leader decided, read back under the Idempotency-Key for seven days.
 */
import { Type } from '@sinclair/typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { KeyedRequest, TokenSecret } from '../../queue/keyed.ts';
import { inBrief } from '../../eventlog/large-rows.ts';
import type { OperatorInput } from '../../reducer/input.ts';
import type { LogEntry } from '../../reducer/log.ts';
import { previewInput } from '../../reducer/preview.ts';
import {
  COMMAND_NAMES,
  CommandAnswerSchema,
  commandBodyOf,
  CommandQuerySchema,
  commandOf,
  COMMANDS,
  FIELD_SCHEMAS,
  type CommandAnswer,
  type CommandBody,
  type CommandName,
} from '../../wire/command.ts';
import { problemCode, ProblemSchema } from '../../wire/problem.ts';
import { writtenFacts } from '../../wire/log-brief.ts';
import { storableText } from '../../wire/text.ts';
import type { ApiDeps } from '../deps.ts';
import { observedFor } from '../observed.ts';
import { actorOf, callerOperator } from '../identity/identity.ts';
import { mustReach } from '../identity/reach.ts';
import { fromDatabase, notAccepted, Refusal } from '../refusal.ts';
import type { Scope } from '../scope.ts';
import { present } from './operator/reading.ts';

/** A reason of 1,000 characters, escaped, fits several times. */
const BODY_LIMIT = 16 * 1024;
const KEY = /^[\x21-\x7e]{1,200}$/;

const HeaderSchema = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      description:
        'Required: 1 to 200 printable characters, such as a UUID, made anew for each command. Kept for 7 days: a repeat is answered alike and carried out once.',
    }),
  ),
});

function describe(name: CommandName) {
  const { params, role, summary } = COMMANDS[name];
  return {
    summary,
    description: `Needs the role \`${role}\`, for a dry run too.`,
    'x-muster-role': role,
    tags: ['commands'],
    params: Type.Object(
      Object.fromEntries(Object.entries(params).map(([p, field]) => [p, FIELD_SCHEMAS[field]])),
    ),
    headers: HeaderSchema,
    querystring: CommandQuerySchema,
    body: commandBodyOf(name),
    response: {
      200: CommandAnswerSchema,
      202: CommandAnswerSchema,
      400: ProblemSchema,
      401: ProblemSchema,
      403: ProblemSchema,
      404: ProblemSchema,
      409: ProblemSchema,
      413: ProblemSchema,
      415: ProblemSchema,
      422: ProblemSchema,
      426: ProblemSchema,
      429: ProblemSchema,
      503: ProblemSchema,
    },
  };
}

export function addCommands(scope: Scope, deps: ApiDeps): void {
  for (const name of COMMAND_NAMES) {
    scope.post<{
      Params: Readonly<Record<string, string>>;
      Body: CommandBody;
      Querystring: Readonly<Record<string, unknown>>;
    }>(
      COMMANDS[name].route,
      {
        config: { audience: 'operator', role: COMMANDS[name].role },
        bodyLimit: BODY_LIMIT,
        schema: describe(name),
      },
      async (request, reply) => {
        const input = inputOf(name, request);
        const operator = callerOperator(request);
        await fromDatabase(deps.log, () => mustReach(deps.pool, operator, input.command));
        if (request.query['dryRun'] === 'true')
          return fromDatabase(deps.log, () => preview(deps, input));
        const secret = secretOf(input, request.body);
        return carryOut(deps, { key: keyOf(request), input, secret }, reply);
      },
    );
  }
}

function inputOf(
  name: CommandName,
  request: FastifyRequest<{ Params: Readonly<Record<string, string>>; Body: CommandBody }>,
): OperatorInput {
  return {
    kind: 'OperatorCommand',
    actor: actorOf(callerOperator(request)),
    reason: storableText(request.body.reason.trim()),
    expectedSeq: request.body.expectedSeq ?? null,
    command: commandOf(name, request.params, request.body),
  };
}

/** What will prove a token, beside the command that makes it: it enters no log. */
function secretOf({ command }: OperatorInput, { secretHash }: CommandBody): TokenSecret | null {
  if (command.command !== 'CreateToken' || secretHash === undefined) return null;
  return { tokenId: command.tokenId, hash: secretHash };
}

function keyOf(request: FastifyRequest): string {
  const key = request.headers['idempotency-key'];
  if (typeof key === 'string' && KEY.test(key)) return key;
  throw new Refusal(
    'idempotency-key-missing',
    'send a header Idempotency-Key: 1 to 200 printable characters, such as a UUID, made anew for each command',
  );
}

async function carryOut(
  deps: ApiDeps,
  request: KeyedRequest,
  reply: FastifyReply,
): Promise<CommandAnswer> {
  const waitMs = deps.limits.verdictWaitMs;
  const result = await deps.submitCommand(request, { waitMs });
  switch (result.status) {
    case 'unavailable':
      throw notAccepted(result.why, result.retryAfterSecs);
    case 'invalid':
      throw new Refusal('malformed', 'the database cannot store this command; send plain text');
    case 'reused':
      throw new Refusal(
        'idempotency-key-reused',
        'this Idempotency-Key was used for another command, reason or caller; make a new one',
      );
    case 'queued':
      noteRepeat(reply, result.repeated);
      void reply.code(202);
      return { status: 'queued', seqs: [] };
    case 'judged': {
      noteRepeat(reply, result.repeated);
      const { verdict, seqs } = result;
      if (verdict.status === 'refused') {
        throw new Refusal(problemCode(verdict.code), verdict.detail, {
          facts: { seqs: [...seqs] },
        });
      }
      return { status: 'applied', seqs: [...seqs] };
    }
  }
}

/** Rows of a preview: what a person reads, and what a page shows. */
const MOST_PREVIEWED = 200;

/** What the leader would decide now. */
async function preview(deps: ApiDeps, input: OperatorInput): Promise<CommandAnswer> {
  const now = deps.clock.now();
  const observed = await observedFor(deps, input, now);
  const seen = observed === undefined ? input : { ...input, observed };
  const { result, asOfSeq } = await deps.committed.read((state) => ({
    result: previewInput(state, seen, now),
    asOfSeq: state.headSeq,
  }));
  const { verdict, entries } = result;
  if (verdict.status === 'refused') throw new Refusal(problemCode(verdict.code), verdict.detail);
  const rows = entries.slice(0, MOST_PREVIEWED).map(previewed);
  return { status: 'preview', seqs: [], asOfSeq, total: entries.length, rows };
}

function previewed({ kind, hostname, rolloutId, channel, payload }: LogEntry) {
  const { payload: told, omitted } = inBrief(writtenFacts(payload, { hostname }));
  return {
    kind,
    payload: told,
    ...present({ host: hostname, rolloutId, channel, omitted }),
  };
}

/** For people who wonder; the answer itself is the same. */
function noteRepeat(reply: FastifyReply, repeated: boolean): void {
  if (repeated) void reply.header('idempotency-replayed', 'true');
}
