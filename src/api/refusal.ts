/** An answer that is no success, thrown by handlers and turned into problem+json in one place. */
import {
  PROBLEMS,
  problem,
  type Problem,
  type ProblemCode,
  type ProblemFacts,
} from '../wire/problem.ts';
import {
  databaseProblem,
  databaseTrouble,
  isDenied,
  isOfSchema,
  isPassing,
  isUnusable,
} from '../db/errors.ts';
import type { Pool } from '../db/pool.ts';
import { schemaProblem, schemaStanding } from '../db/standing.ts';
import type { Logger } from '../telemetry.ts';

export interface RefusalOptions {
  readonly retryAfterSecs?: number;
  readonly facts?: ProblemFacts;
  /** What happened, for the metrics of shed requests. */
  readonly why?: string;
  /** Concerns its caller only: others were answered meanwhile. */
  readonly ofOneCaller?: boolean;
  /** Which proof did not hold, for the caller and the metric of refused identities; else the code is the reason. */
  readonly proof?: 'certificate' | 'expired' | 'revoked' | 'forwarded' | 'token' | 'token-expired';
  /** Nothing better can come over this connection: it closes after the answer. */
  readonly endsConnection?: boolean;
}

export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: ProblemCode;
  readonly options: RefusalOptions;

  constructor(code: ProblemCode, detail: string, options: RefusalOptions = {}) {
    super(detail);
    this.code = code;
    this.options = options;
  }

  get status(): number {
    return PROBLEMS[this.code][0];
  }

  /** Something was turned away for want of room, and not its caller's alone. */
  get isShed(): boolean {
    return this.options.why !== undefined && this.options.ofOneCaller !== true;
  }

  get body(): Problem {
    const { facts, proof } = this.options;
    return problem(this.code, this.message, proof === undefined ? facts : { ...facts, proof });
  }
}

/** Nothing is known to be stored: the sender keeps what it sent, and sends it again. */
export function notAccepted(
  why: string,
  retryAfterSecs: number,
  more: Pick<RefusalOptions, 'ofOneCaller' | 'endsConnection'> = {},
): Refusal {
  const detail = `not accepted now (${why}); send the same again after Retry-After`;
  return new Refusal('not-accepted', detail, { ...more, retryAfterSecs, why });
}

/** A database that restarts is back in seconds; agents come back by themselves every 15 s. */
const DATABASE_RETRY_SECS = 5;

function databaseAway(): Refusal {
  return new Refusal(
    'database-away',
    'the database does not answer this now; send the same request again later',
    { retryAfterSecs: DATABASE_RETRY_SECS, why: 'database-away' },
  );
}

/**
 * Runs a read or a note of the API. Whatever keeps the database from answering is 503, to be tried again: it is away, or
 * lets this login not do what it has to. A statement that the database finds wrong is our own fault and 500, unless the
 * schema is what is wrong (`ofUnfitSchema`).
 */
export async function fromDatabase<T>(log: Logger, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const mendable = isPassing(error) || isDenied(error) || isUnusable(error);
    if (error instanceof Refusal || !mendable) throw error;
    log.warn({ problem: databaseProblem(error) }, 'the database does not answer the API');
    throw databaseAway();
  }
}

/**
 * What a statement misses may be missing because nobody has migrated yet, or has begun anew: then nothing is wrong with the
 * statement, and it is 503. Null: the schema is as this code wants it, or this is about something else.
 */
export async function ofUnfitSchema(
  error: unknown,
  { log, pool }: { readonly log: Logger; readonly pool: Pick<Pool, 'run'> },
): Promise<Refusal | null> {
  if (!isOfSchema(error)) return null;
  const problem = await pool.run(schemaStanding).then(schemaProblem, databaseTrouble);
  if (problem === null) return null;
  log.warn({ problem }, 'the schema does not serve the API');
  return databaseAway();
}
