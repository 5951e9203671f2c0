/**
 * Who speaks. The one place that decides whom a route admits; how callers prove themselves are ways of their
 * own beside this file, asked in order. Every route names whom it serves; one that names nobody serves nobody.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Refusal } from '../refusal.ts';

/** What an operator may do, least first: each may what those before it may. */
export const OPERATOR_ROLES = ['viewer', 'operator', 'admin'] as const;
export type OperatorRole = (typeof OPERATOR_ROLES)[number];

export type Identity =
  | { readonly kind: 'agent'; readonly hostname: string }
  | { readonly kind: 'operator'; readonly name: string; readonly role: OperatorRole };

/** Whom a route serves. */
export type Audience = Identity['kind'] | 'anyone';

declare module 'fastify' {
  interface FastifyRequest {
    identity: Identity | null;
  }
  interface FastifyContextConfig {
    audience?: Audience;
  }
}

/**
 * One way to prove who one is. Null: the caller did not try this way, so the next one is asked. Throws a
 * Refusal when the caller tried and failed: nobody falls back from a bad proof to a weaker one.
 */
export interface Way {
  /** What a caller who is nobody is told to do. */
  readonly hint: string;
  identify(request: FastifyRequest): Identity | null | Promise<Identity | null>;
}

async function identify(request: FastifyRequest, ways: readonly Way[]): Promise<Identity | null> {
  for (const way of ways) {
    const identity = await way.identify(request);
    if (identity !== null) return identity;
  }
  return null;
}

function admit(
  audience: Audience | undefined,
  identity: Identity | null,
  ways: readonly Way[],
): void {
  if (audience === 'anyone') return;
  if (identity === null) {
    const how = ways.map(({ hint }) => hint).join('; or ');
    throw new Refusal(
      'unauthenticated',
      `the caller is not known: ${how === '' ? 'no way to identify is configured' : how}`,
    );
  }
  if (identity.kind !== audience) {
    throw new Refusal(
      'wrong-identity',
      `this endpoint serves ${audience ?? 'nobody'}s, not ${identity.kind}s`,
    );
  }
}

export function addIdentity(app: FastifyInstance, ways: readonly Way[]): void {
  app.decorateRequest('identity', null);
  app.addHook('onRequest', async (request) => {
    const { audience } = request.routeOptions.config;
    // Who is served anyway need not prove anything: probes must not wait for a table of tokens.
    if (request.is404 || audience === 'anyone') return;
    request.identity = await identify(request, ways);
    admit(audience, request.identity, ways);
  });
}

/** The host that speaks, on routes for agents. */
export function callerHost(request: FastifyRequest): string {
  if (request.identity?.kind === 'agent') return request.identity.hostname;
  throw new Refusal('unauthenticated', 'the caller is no agent');
}

/** Agents answer for their own host. */
export function mustBeOwn(hostname: string, claimed: string): void {
  if (claimed === hostname) return;
  throw new Refusal('wrong-host', `this identity is ${hostname}; post for that host only`);
}
