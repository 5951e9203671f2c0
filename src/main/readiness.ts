/** Whether this process should be sent requests, and why not. A follower is as ready as a leader. */
import type { Readiness } from '../api/deps.ts';
import { databaseProblem } from '../db/errors.ts';
import { hasFleet } from '../db/reads.ts';
import { schemaProblem, schemaStanding } from '../db/standing.ts';
import type { Submitter } from '../queue/submitter.ts';
import { apiLoginProblem, leaderLoginProblem, type Logins } from './login.ts';

export interface Asked extends Logins {
  readonly submitter: Submitter;
  readonly state: {
    readonly draining: boolean;
    /** The leader, where this process is one or may become one. */
    readonly leader: { readonly ails: boolean } | null;
  };
}

/** Can enqueue, has manifests to serve, can lead if that is asked of it, and is not going away. */
export async function readiness(asked: Asked): Promise<Readiness> {
  const reason = await whyNotReady(asked);
  return { ready: reason === null, reasons: reason === null ? [] : [reason] };
}

async function whyNotReady(asked: Asked): Promise<string | null> {
  const { submitter, pool, state } = asked;
  if (state.draining) return 'draining';
  if (!(await submitter.ready())) return 'the queue cannot take inputs';
  const schema = await pool
    .run(schemaStanding)
    .then(
      schemaProblem,
      (error: unknown) => `the schema cannot be read: ${databaseProblem(error)}`,
    );
  if (schema !== null) return schema;
  // A leader that failed is asked for its rights; whoever waits for its turn is not.
  const login =
    (await apiLoginProblem(asked)) ??
    (state.leader?.ails === true ? await leaderLoginProblem(asked) : null);
  if (login !== null) return login;
  const primed = await pool.run(hasFleet).catch(() => false);
  return primed ? null : 'no manifest set has been verified yet';
}
