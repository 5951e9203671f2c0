/** Counts and times every request, by route pattern: never by path, which anyone can invent. */
import type { FastifyInstance } from 'fastify';
import type { ApiDeps } from './deps.ts';
import { routeOf } from './route.ts';

export function addMeasures(app: FastifyInstance, { metrics }: ApiDeps): void {
  app.addHook('onResponse', (request, reply, done) => {
    const route = routeOf(request).url ?? 'none';
    const { method } = request;
    metrics.count('muster_http_requests_total', { method, route, status: reply.statusCode });
    metrics.observe('muster_http_request_seconds', { route }, reply.elapsedTime / 1_000);
    done();
  });
}
