/** Whether this process should be sent requests, and why not. A follower is as ready as a leader. */
import type { Readiness } from '../api/deps.ts';
import { databaseTrouble, isOfSchema, stateTrouble } from '../db/errors.ts';
import { hasFleet } from '../db/reads.ts';
import { schemaProblem, schemaStanding } from '../db/standing.ts';
import { COMMITS_HANG, ROW_BYTES, type Obstacle } from '../queue/gate.ts';
import type { Submitter } from '../queue/submitter.ts';
import type { AskLead } from './leads.ts';
import { apiLoginProblem, type Logins } from './login.ts';

export interface Asked extends Logins {
  readonly askLead: AskLead;
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
  const obstacle = await submitter.obstacle();
  // What a statement misses is the schema's to explain, and a full queue may be full for want of a leader.
  const ofSchema = obstacle?.why === 'database' && isOfSchema(obstacle.error);
  if (obstacle !== null && !ofSchema && obstacle.why !== 'full') return sentence(obstacle);
  const schema = await pool.run(schemaStanding).then(schemaProblem, databaseTrouble);
  if (schema !== null) return schema;
  if (obstacle !== null && ofSchema) return sentence(obstacle);
  const login =
    (await apiLoginProblem(asked)) ?? (await asked.askLead(state.leader?.ails === true));
  if (login !== null) return login;
  if (obstacle !== null) return sentence(obstacle);
  return pool
    .run(hasFleet)
    .then((primed) => (primed ? null : 'no manifest set has been verified yet'), databaseTrouble);
}

/** Anybody may read it: it names no host and no login. docs/guides/troubleshooting.md has each text. */
function sentence(obstacle: Obstacle): string {
  switch (obstacle.why) {
    case 'draining':
      return 'draining';
    case 'database':
      return databaseTrouble(obstacle.error);
    case 'hangs':
      return COMMITS_HANG;
    case 'refused':
      return stateTrouble(obstacle.state);
    case 'full':
      return `the queue is full: ${full(obstacle)}`;
  }
}

function full({ by, most }: Extract<Obstacle, { readonly why: 'full' }>): string {
  switch (by) {
    case 'rows':
      return `${String(most)} inputs wait (MUSTER_QUEUE_MAX_ROWS)`;
    case 'bytes':
      return `the inputs that wait hold ${String(most)} bytes (${String(ROW_BYTES)} for each of MUSTER_QUEUE_MAX_ROWS)`;
    case 'age':
      return `the oldest input has waited for ${String(most / 1_000)} s (MUSTER_QUEUE_MAX_AGE_SECONDS)`;
  }
}
