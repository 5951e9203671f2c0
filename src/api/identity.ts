/**
 * Who speaks. The one place that knows how callers prove themselves: for now a header that is believed in
 * development only; client certificates take its place here, and nothing else changes. Every route names
 * whom it serves; one that names nobody serves nobody.
 */
import type { AddressInfo } from 'node:net';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Logger } from '../telemetry.ts';
import { isHostname } from '../wire/ids.ts';
import { Refusal } from './refusal.ts';

export type Identity =
  | { readonly kind: 'agent'; readonly hostname: string }
  | { readonly kind: 'operator'; readonly name: string };

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

const DEV_HEADER = 'x-muster-dev-identity';
/** What a person or a pipeline is called; shown in the log as the actor. */
const OPERATOR_NAME = /^[\w.@+-]{1,128}$/;
const LOOPBACK = /^(::1|(::ffff:)?127\.\d+\.\d+\.\d+)$/;

function parseDevIdentity(header: string): Identity | null {
  const [kind, name = ''] = header.split(/:(.*)/s);
  if (kind === 'agent' && isHostname(name)) return { kind: 'agent', hostname: name };
  if (kind === 'operator' && OPERATOR_NAME.test(name)) return { kind: 'operator', name };
  return null;
}

/** A unix socket's address is its path: as local as it gets. */
function isLoopback(address: AddressInfo | string | null): boolean {
  return address === null || typeof address === 'string' || LOOPBACK.test(address.address);
}

function onLoopback({ socket }: FastifyRequest): boolean {
  // Requests injected in process have no local address.
  return LOOPBACK.test(socket.localAddress ?? socket.remoteAddress ?? '');
}

/** Null for callers who are nobody here. */
type Authenticate = (request: FastifyRequest) => Identity | null;

function developmentIdentity(app: FastifyInstance, log: Logger): Authenticate {
  let loopbackOnly = true;
  app.addHook('onListen', (done) => {
    loopbackOnly = isLoopback(app.server.address());
    if (!loopbackOnly)
      log.error({}, 'development identities are off: listen on 127.0.0.1 to use them');
    done();
  });
  return (request) => {
    const header = request.headers[DEV_HEADER];
    if (!loopbackOnly || typeof header !== 'string' || !onLoopback(request)) return null;
    return parseDevIdentity(header);
  };
}

function admit(audience: Audience | undefined, identity: Identity | null, dev: boolean): void {
  if (audience === 'anyone') return;
  if (identity === null) {
    const how = dev
      ? `send ${DEV_HEADER}: agent:<host> or operator:<name>`
      : 'no way to identify is configured';
    throw new Refusal('unauthenticated', `the caller is not known: ${how}`);
  }
  if (identity.kind !== audience) {
    throw new Refusal(
      'wrong-identity',
      `this endpoint serves ${audience ?? 'nobody'}s, not ${identity.kind}s`,
    );
  }
}

export function addIdentity(app: FastifyInstance, options: { dev: boolean; log: Logger }): void {
  const authenticate = options.dev ? developmentIdentity(app, options.log) : () => null;
  app.decorateRequest('identity', null);
  app.addHook('onRequest', (request, _reply, done) => {
    if (!request.is404) {
      request.identity = authenticate(request);
      admit(request.routeOptions.config.audience, request.identity, options.dev);
    }
    done();
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
