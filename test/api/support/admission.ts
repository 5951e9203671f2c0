/**
 * Who is admitted where, written by hand: one table for every proof of identity, so that a route added without a
 * thought about who may use it fails.
 */
import type { RouteOf } from './routes.ts';

/** Anyone with no identity, an agent, or an operator by role. */
export type Caller = 'nobody' | 'agent' | 'viewer' | 'operator' | 'admin';
/** Whom a route serves, by the least of them. */
export type Served = 'anyone' | 'agent' | 'viewer' | 'operator' | 'admin';

const ANYONE = ['/', '/assets/:name', '/healthz', '/readyz', '/metrics', '/openapi.json'].concat([
  '/v1/enroll',
]);
const AGENTS = /^\/v1\/(agent\/\w+(\/:hash)?|fleet\.resolved(\/sig)?|rollouts\/:id\/sig)$/;
/** Served to agents by NixFleet's path; what operators read of a rollout is below it. */
const MANIFEST = '/v1/rollouts/:id';
const ADMIN = [
  '/v1/hosts/:name/write-off',
  '/v1/quarantines/:channel/:closure/clear',
  '/v1/tokens',
  '/v1/tokens/:id/revoke',
];

/** Every route there is has a row here by its pattern; a new kind of route is a question in review. */
export function servedTo({ method, route }: RouteOf): Served {
  if (ANYONE.includes(route)) return 'anyone';
  if (AGENTS.test(route) || route === MANIFEST) return 'agent';
  if (ADMIN.includes(route)) return 'admin';
  return method === 'POST' ? 'operator' : 'viewer';
}

const RANK: readonly string[] = ['viewer', 'operator', 'admin'];

/** What the caller is told; null: admitted. */
export function refusal(caller: Caller, served: Served): string | null {
  if (served === 'anyone') return null;
  if (caller === 'nobody') return '401 unauthenticated';
  if (caller === 'agent' || served === 'agent') {
    return caller === served ? null : '403 wrong-identity';
  }
  return RANK.indexOf(caller) >= RANK.indexOf(served) ? null : `403 needs-${served}`;
}
