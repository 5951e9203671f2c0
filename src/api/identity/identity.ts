/**
 * Who speaks. The one place that decides whom a route admits; how callers prove themselves are ways of their
 * own beside this file, asked in order. Every route names whom it serves; one that names nobody serves nobody.
 */
import type { FastifyContextConfig, FastifyInstance, FastifyRequest } from 'fastify';
import { suffices, type OperatorRole } from '../../wire/role.ts';
import { Refusal } from '../refusal.ts';
import { routeOf } from '../route.ts';

export interface Operator {
  readonly kind: 'operator';
  readonly name: string;
  readonly role: OperatorRole;
  /** How they proved it. */
  readonly via: 'development' | 'token' | 'certificate';
  /** The channels that their commands reach; null: all of them, and the fleet as a whole. */
  readonly channels: readonly string[] | null;
  /** When the proof was made out, and when it ends; null: unknown, never. */
  readonly issuedAt: string | null;
  readonly expiresAt: string | null;
}

/** The certificate by which a host proves itself. */
export interface OwnCertificate {
  /** Base64 SHA-256 of its public key. */
  readonly keyFingerprint: string;
  /** When it begins to be valid, ms. */
  readonly notBefore: number;
}

export interface Agent {
  readonly kind: 'agent';
  readonly hostname: string;
  /** Absent where nobody proves anything: development. */
  readonly certificate?: OwnCertificate;
}

export type Identity = Agent | Operator;

/** Whom a route serves. */
export type Audience = Identity['kind'] | 'anyone';

declare module 'fastify' {
  interface FastifyInstance {
    /** Whether the caller of a request that goes on for long would still be admitted now. */
    isStillAdmitted: (request: FastifyRequest) => Promise<boolean>;
  }
  interface FastifyRequest {
    identity: Identity | null;
  }
  interface FastifyContextConfig {
    audience?: Audience;
    /** Asked by balancers and kubelets: answered however often others ask. */
    isProbe?: boolean;
    /** Metrics, the description, what the page is made of: for anyone, some work each, and asked for now and then. */
    isFile?: boolean;
    /** Of routes for operators: the least role that is served; `viewer` where none is named. */
    role?: OperatorRole;
  }
}

/**
 * One way to prove who one is. Null: the caller did not try this way, so the next one is asked. Throws a
 * Refusal when the caller tried and failed: nobody falls back from a bad proof to a weaker one.
 */
export interface Way {
  /** What a caller who is nobody is told to do; empty where there is nothing to do. */
  readonly hint: string;
  identify(request: FastifyRequest): Identity | null | Promise<Identity | null>;
}

/** A promise only where a way has to ask somebody: certificates are known at once, and most who call are hosts. */
function identify(
  request: FastifyRequest,
  ways: readonly Way[],
  from = 0,
): ReturnType<Way['identify']> {
  for (let at = from; at < ways.length; at += 1) {
    const identity = ways[at]?.identify(request) ?? null;
    if (identity instanceof Promise)
      return identity.then((known) => known ?? identify(request, ways, at + 1));
    if (identity !== null) return identity;
  }
  return null;
}

function admit(
  { audience, role = 'viewer' }: FastifyContextConfig,
  identity: Identity | null,
  ways: readonly Way[],
): void {
  if (audience === 'anyone') return;
  if (identity === null) {
    const how = ways.flatMap(({ hint }) => (hint === '' ? [] : [hint])).join('; or ');
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
  if (identity.kind === 'operator' && !suffices(identity.role, role)) throw needs(role, identity);
}

function needs(role: OperatorRole, { name, role: own }: Operator): Refusal {
  return new Refusal(
    role === 'admin' ? 'needs-admin' : 'needs-operator',
    `this needs the role ${role}, and ${name} has the role ${own}; ask somebody who has it, or use a token with it`,
  );
}

/** `onRefused`: told of each request whose caller is not admitted; may answer with a Refusal instead of that. */
export function addIdentity(
  app: FastifyInstance,
  ways: readonly Way[],
  onRefused: (request: FastifyRequest) => Refusal | undefined,
): void {
  app.decorateRequest('identity', null);
  const admitAs = (request: FastifyRequest, identity: Identity | null): void => {
    request.identity = identity;
    admit(routeOf(request).config, identity, ways);
  };
  const enter = (request: FastifyRequest): Promise<void> | undefined => {
    // Who is served anyway need not prove anything: probes must not wait for a table of tokens.
    if (request.is404 || routeOf(request).config.audience === 'anyone') return undefined;
    const identity = identify(request, ways);
    if (identity instanceof Promise)
      return identity.then((known) => {
        admitAs(request, known);
      });
    admitAs(request, identity);
    return undefined;
  };
  app.addHook('onRequest', (request, _reply, done) => {
    const refuse = (error: unknown): void => {
      done(onRefused(request) ?? (error as Error));
    };
    let entering: Promise<void> | undefined;
    try {
      entering = enter(request);
    } catch (error) {
      refuse(error);
      return;
    }
    if (entering === undefined) done();
    else
      void entering.then(() => {
        done();
      }, refuse);
  });
  app.decorate('isStillAdmitted', async (request: FastifyRequest) => {
    try {
      admit(routeOf(request).config, await identify(request, ways), ways);
      return true;
    } catch (error) {
      // Nobody can be asked while the database is away: that takes nothing from anybody.
      if (error instanceof Refusal) return error.status === 503;
      throw error;
    }
  });
}

/** The operator that speaks, on routes for operators. */
export function callerOperator(request: FastifyRequest): Operator {
  if (request.identity?.kind === 'operator') return request.identity;
  throw new Refusal('unauthenticated', 'the caller is no operator');
}

/** How the log calls them. Development names stand alone: nobody proved anything. */
export function actorOf({ name, via }: Operator): string {
  return via === 'development' ? name : `${ACTOR_PREFIX[via]}:${name}`;
}

const ACTOR_PREFIX = { token: 'token', certificate: 'cert' } as const;

/** The host that speaks, on routes for agents. */
export function callerHost(request: FastifyRequest): string {
  if (request.identity?.kind === 'agent') return request.identity.hostname;
  throw new Refusal('unauthenticated', 'the caller is no agent');
}

/** The certificate of the host that speaks; null in development. */
export function callerCertificate({ identity }: FastifyRequest): OwnCertificate | null {
  return identity?.kind === 'agent' ? (identity.certificate ?? null) : null;
}

/** Agents answer for their own host. */
export function mustBeOwn(hostname: string, claimed: string): void {
  if (claimed === hostname) return;
  throw new Refusal('wrong-host', `this identity is ${hostname}; post for that host only`);
}
