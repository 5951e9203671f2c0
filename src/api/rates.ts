/**
 * How often anybody may ask: one caller, so that a loop somewhere does not take what all others need, and all
 * together, so that this process goes on answering those whom it can answer. Counted a second at a time, in memory:
 * replicas know nothing of each other here. Agents are told 503, which every agent repeats; operators 429.
 */
import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ApiLimits } from './deps.ts';
import { Refusal } from './refusal.ts';

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
   * Counts a request of somebody who proved nothing, and throws the Refusal of one too many. Apart from all others:
   * strangers shall not use up what agents need.
   */
  ofNobody(request: FastifyRequest): Promise<void>;
  /** To be called after the hook that finds out who calls. */
  ofCallers(): void;
}

export async function createRates(
  app: FastifyInstance,
  limits: Pick<ApiLimits, 'identityRequestsPerSecond' | 'requestsPerSecond'>,
): Promise<Rates> {
  await app.register(rateLimit, { global: false, cache: CALLERS, timeWindow: WINDOW_MS });
  const byCaller = app.createRateLimit({
    max: limits.identityRequestsPerSecond,
    keyGenerator: callerOf,
  });
  const together = app.createRateLimit({
    max: limits.requestsPerSecond,
    keyGenerator: () => 'all',
  });
  const strangers = app.createRateLimit({
    max: limits.requestsPerSecond,
    keyGenerator: () => 'strangers',
  });
  const files = app.createRateLimit({
    max: FILES,
    keyGenerator: ({ routeOptions }) => routeOptions.url ?? '',
  });
  const ofNobody = async (request: FastifyRequest): Promise<void> => {
    const { isFile } = request.routeOptions.config;
    if (isFile === true && isExceeded(await files(request))) throw tooMany(request);
    if (isExceeded(await strangers(request))) throw tooMany(request);
  };
  return {
    ofNobody,
    ofCallers() {
      app.addHook('onRequest', async (request) => {
        const { audience, isProbe } = request.routeOptions.config;
        if (isProbe === true) return;
        if (request.is404 || audience === 'anyone') return ofNobody(request);
        if (isExceeded(await byCaller(request))) throw tooOften(request);
        if (isExceeded(await together(request))) throw tooMany(request);
      });
    },
  };
}

type Counted = Awaited<ReturnType<ReturnType<FastifyInstance['createRateLimit']>>>;

/** `isAllowed` would only say that somebody is on a list of exceptions, of which there is none. */
function isExceeded(counted: Counted): boolean {
  return !counted.isAllowed && counted.isExceeded;
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
