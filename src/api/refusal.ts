/** An answer that is no success, thrown by handlers and turned into problem+json in one place. */
import {
  PROBLEMS,
  problem,
  type Problem,
  type ProblemCode,
  type ProblemFacts,
} from '../wire/problem.ts';
import { databaseProblem, isPassing } from '../db/errors.ts';
import type { Logger } from '../telemetry.ts';

export interface RefusalOptions {
  readonly retryAfterSecs?: number;
  readonly facts?: ProblemFacts;
  /** What happened, for the metrics of shed requests. */
  readonly why?: string;
  /** Concerns its caller only: others were answered meanwhile. */
  readonly ofOneCaller?: boolean;
  /** Which proof did not hold, for the metric of refused identities; else the code is the reason. */
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

  get body(): Problem {
    return problem(this.code, this.message, this.options.facts);
  }
}

/** Nothing is known to be stored: the sender keeps what it sent, and sends it again. */
export function notAccepted(why: string, retryAfterSecs: number): Refusal {
  const detail = `not accepted now (${why}); send the same again after Retry-After`;
  return new Refusal('not-accepted', detail, { retryAfterSecs, why });
}

/** A database that restarts is back in seconds; agents come back by themselves every 15 s. */
const DATABASE_RETRY_SECS = 5;

/**
 * Runs a read or a note of the API. Whatever keeps the database from answering is 503, to be tried again;
 * a statement that the database finds wrong is our own fault and 500.
 */
export async function fromDatabase<T>(log: Logger, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Refusal || !isPassing(error)) throw error;
    log.warn({ problem: databaseProblem(error) }, 'the database does not answer the API');
    throw new Refusal(
      'database-away',
      'the database does not answer; send the same request again later',
      {
        retryAfterSecs: DATABASE_RETRY_SECS,
        why: 'database-away',
      },
    );
  }
}
