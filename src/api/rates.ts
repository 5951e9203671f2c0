/**
 * How often anybody may ask: one caller, so that a loop somewhere does not take what all others need, and all
 * together, so that this process goes on answering those whom it can answer. Counted a second at a time, in memory:
 * replicas know nothing of each other here. Agents are told 503, which every agent repeats; operators 429.
 *
 * By a clock that nobody can set: a count that was begun before the wall clock went back would not end until that time had
 * come again, and everybody be refused for so long (`@fastify/rate-limit` 11 counts so).
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ApiLimits } from './deps.ts';
import { Refusal } from './refusal.ts';
import { routeOf } from './route.ts';

const WINDOW_MS = 1_000;
/** Opening the page takes four. Each is as much work as some ten events, and anyone may ask. */
const FILES = 20;
/** Callers remembered within a window; whoever is forgotten for others begins anew. Some 200 bytes each. */
const CALLERS = 20_000;

/** Who is counted. */
export function callerOf({ identity }: FastifyRequest): string {
  if (identity?.kind === 'agent') return `agent ${identity.hostname}`;
  // Nobody is counted by `ofNobody`, and gets no further.
  return identity === null ? 'nobody' : `operator ${identity.name}`;
}

export interface Rates {
  /**
   * Counts a request of somebody who proved nothing; the Refusal of one too many. Apart from all others:
   * strangers shall not use up what agents need.
   */
  ofNobody(request: FastifyRequest): Refusal | undefined;
  /** To be called after the hook that finds out who calls. */
  ofCallers(app: FastifyInstance): void;
}

export function createRates(
  limits: Pick<ApiLimits, 'identityRequestsPerSecond' | 'requestsPerSecond'>,
  monotonic: () => number,
): Rates {
  const byCaller = new Second(limits.identityRequestsPerSecond, monotonic);
  const together = new Second(limits.requestsPerSecond, monotonic);
  const strangers = new Second(limits.requestsPerSecond, monotonic);
  const files = new Second(FILES, monotonic);
  const ofNobody = (request: FastifyRequest): Refusal | undefined => {
    const { config, url = '' } = routeOf(request);
    const isOneTooMany = (config.isFile === true && files.exceeds(url)) || strangers.exceeds('all');
    return isOneTooMany ? tooMany(request) : undefined;
  };
  const whyNot = (request: FastifyRequest): Refusal | undefined => {
    const { audience, isProbe } = routeOf(request).config;
    if (isProbe === true) return undefined;
    if (request.is404 || audience === 'anyone') return ofNobody(request);
    if (byCaller.exceeds(callerOf(request))) return tooOften(request);
    return together.exceeds('all') ? tooMany(request) : undefined;
  };
  return {
    ofNobody,
    ofCallers(app) {
      app.addHook('onRequest', (request, _reply, done) => {
        done(whyNot(request));
      });
    },
  };
}

/** Counts what comes within a second; then anew. */
class Second {
  private readonly most: number;
  private readonly monotonic: () => number;
  private readonly counts = new Map<string, number>();
  private endsAt = 0;

  constructor(most: number, monotonic: () => number) {
    this.most = most;
    this.monotonic = monotonic;
  }

  /** Counts one more of `key`; true for one too many. */
  exceeds(key: string): boolean {
    const now = this.monotonic();
    if (now >= this.endsAt) {
      this.counts.clear();
      this.endsAt = now + WINDOW_MS;
    }
    const count = (this.counts.get(key) ?? 0) + 1;
    if (count === 1 && this.counts.size >= CALLERS) this.forgetOne();
    this.counts.set(key, count);
    return count > this.most;
  }

  private forgetOne(): void {
    for (const key of this.counts.keys()) {
      this.counts.delete(key);
      return;
    }
  }
}

/** One caller's own doing: no sign that others were shed. */
function tooOften({ identity }: FastifyRequest): Refusal {
  return new Refusal(
    identity?.kind === 'operator' ? 'too-many-requests' : 'not-accepted',
    'this caller asks more often than anybody needs to; send the same again after Retry-After, and more slowly',
    { retryAfterSecs: 1, why: 'rate-of-one', ofOneCaller: true },
  );
}

function tooMany({ identity }: FastifyRequest): Refusal {
  return new Refusal(
    identity?.kind === 'operator' ? 'too-many-requests' : 'not-accepted',
    'this process is asked more often than it can answer; send the same again after Retry-After',
    { retryAfterSecs: 2, why: 'rate' },
  );
}
