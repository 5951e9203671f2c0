/** GET /v1/agent/dispatch: the only message from the control plane to an agent, by long poll. */
import { Type } from '@sinclair/typebox';
import { confirmed, noteUnconfirmed } from '../../db/confirmed.ts';
import { offerDispatches, type OfferRow } from '../../db/offers.ts';
import { DispatchAnswerSchema, type DispatchAnswer } from '../../wire/agent.ts';
import { ProblemSchema } from '../../wire/problem.ts';
import type { ApiDeps } from '../deps.ts';
import { gather } from '../gather.ts';
import { callerHost } from '../identity/identity.ts';
import type { Polls } from '../polls.ts';
import { fromDatabase, Refusal } from '../refusal.ts';
import type { Scope } from '../scope.ts';

/** Load balancers cut idle requests at 60 s and up. */
const LONGEST_WAIT_SECS = 60;

/** Offers to one host; many share the statement. */
export function offerer(deps: ApiDeps): (hostname: string) => Promise<OfferRow | null> {
  const { pool, metrics, replica, clock } = deps;
  // An agent acts on what it is offered: a dispatch that a failover would take back must not get out.
  const record: typeof pool.run = async (statements) => {
    try {
      return await confirmed(pool, statements);
    } catch (error) {
      noteUnconfirmed(metrics, 'offers', error);
      throw error;
    }
  };
  const offer = gather<string, { readonly row: OfferRow | null }>({
    clock,
    onRun: (size) => {
      metrics.observe('muster_api_gathered_rows', { statement: 'offer' }, size);
    },
    run: async (hostnames) => {
      const rows = await record((sql) => offerDispatches(sql, replica, [...new Set(hostnames)]));
      const byHost = new Map(rows.map((row) => [row.hostname, row]));
      return hostnames.map((hostname) => ({ row: byHost.get(hostname) ?? null }));
    },
  });
  return async (hostname) => (await offer(hostname)).row;
}

function waitMs(wait: string | undefined): number {
  if (wait === undefined) return 0;
  const seconds = Number(wait);
  if (wait.trim() === '' || Number.isNaN(seconds)) {
    throw new Refusal('malformed', 'wait is no number; send seconds from 0 to 60');
  }
  return Math.min(Math.max(seconds, 0), LONGEST_WAIT_SECS) * 1_000;
}

function answerOf(row: OfferRow): DispatchAnswer {
  const { hostname, rollout_id, target_closure, soak_due_at, enqueued_at } = row;
  return { hostname, rollout_id, target_closure, soak_due_at, enqueued_at };
}

const SCHEMA = {
  summary: 'Wait for permission to move',
  description:
    'Long poll. The offer is recorded before it is answered and is repeated until the agent posts DispatchAck; a repeat means nothing new.',
  tags: ['agent'],
  querystring: Type.Object({
    wait: Type.Optional(Type.String({ description: 'Seconds to wait, clamped to 0 … 60.' })),
  }),
  response: {
    200: DispatchAnswerSchema,
    204: Type.Null({ description: 'Nothing within the wait.' }),
    400: ProblemSchema,
    401: ProblemSchema,
    403: ProblemSchema,
    426: ProblemSchema,
    503: ProblemSchema,
  },
};

export function addDispatch(scope: Scope, deps: ApiDeps, polls: Polls): void {
  scope.get(
    '/v1/agent/dispatch',
    { schema: SCHEMA, config: { audience: 'agent' } },
    async (request, reply) => {
      const hostname = callerHost(request);
      const wait = waitMs(request.query.wait);
      const poll = await fromDatabase(deps.log, () => polls.start(hostname, wait));
      reply.raw.once('close', () => {
        polls.finish(poll, null);
      });
      // Gone during the first question: nobody would be told of the close any more.
      if (reply.raw.closed) polls.finish(poll, null);
      const row = await poll.answer;
      if (!(await request.server.isStillAdmitted(request))) {
        throw new Refusal('unauthenticated', 'the certificate of this host holds no longer', {
          endsConnection: true,
        });
      }
      // While stopping, the next poll belongs to another replica.
      if (polls.isDraining) void reply.header('connection', 'close');
      return row === null ? reply.code(204).send(null) : reply.send(answerOf(row));
    },
  );
}
