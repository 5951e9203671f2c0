/** How callers of this replica may prove who they are: which ways there are, and in which order they are asked. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { readRevocations } from '../../db/artifacts.ts';
import type { ApiDeps } from '../deps.ts';
import type { ProxyListener } from '../listen/proxies.ts';
import { Certificates, tlsIdentity } from './certificates.ts';
import { developmentIdentity } from './development.ts';
import { forwardedIdentity } from './forwarded.ts';
import type { Way } from './identity.ts';
import { Revocations } from './revocations.ts';
import { bearerTokens } from './tokens.ts';

export interface Ways {
  readonly ways: readonly Way[];
  readonly revocations: Revocations;
}

/** A forwarded certificate first, for it may only come one way; and who presents one is judged by it alone. */
export function openWays(app: FastifyInstance, deps: ApiDeps, proxies: ProxyListener | null): Ways {
  const { material } = deps.certificates;
  const isProxied = (request: FastifyRequest): boolean => proxies?.brought(request) ?? false;
  const isOutdated = (request: FastifyRequest): boolean => proxies?.isOutdated(request) ?? false;
  const read = (known: string | null) => deps.pool.run((sql) => readRevocations(sql, known));
  const revocations = new Revocations({ ...deps, read });
  if (material.isAsking) revocations.start();
  const certificates = new Certificates({ ...deps.certificates, clock: deps.clock, revocations });
  const ways = [
    forwardedIdentity({
      ...{ certificates, material, takes: proxies !== null },
      ...{ isProxied, isOutdated },
    }),
    ...(material.isAsking ? [tlsIdentity(certificates, isProxied)] : []),
    bearerTokens(deps),
    ...(deps.devIdentity ? [developmentIdentity(app, deps.log)] : []),
  ];
  return { ways, revocations };
}
