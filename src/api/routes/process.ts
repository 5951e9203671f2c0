/** What probes, scrapers and tools ask of a process, whoever they are: no identity, and no secrets. */
import type { FastifyInstance } from 'fastify';
import { Type } from '@sinclair/typebox';
import type { ApiDeps } from '../deps.ts';

const Health = Type.Object({ status: Type.Literal('ok') });
const Ready = Type.Object({ ready: Type.Boolean(), reasons: Type.Array(Type.String()) });

export function addProcess(scope: FastifyInstance, deps: ApiDeps): void {
  const config = { audience: 'anyone' } as const;
  scope.get(
    '/healthz',
    {
      config,
      schema: { summary: 'Is the process alive?', tags: ['process'], response: { 200: Health } },
    },
    () => ({ status: 'ok' }),
  );
  scope.get(
    '/readyz',
    {
      config,
      schema: {
        summary: 'Can it take requests? Not: does it lead.',
        tags: ['process'],
        response: { 200: Ready, 503: Ready },
      },
    },
    async (_request, reply) => {
      const readiness = await deps.readiness();
      return reply.code(readiness.ready ? 200 : 503).send(readiness);
    },
  );
  scope.get(
    '/metrics',
    {
      config,
      schema: { summary: 'Prometheus metrics', tags: ['process'], produces: ['text/plain'] },
    },
    async (_request, reply) =>
      reply.type(deps.metrics.contentType).send(await deps.metrics.expose()),
  );
  scope.get('/openapi.json', { config, schema: { hide: true } }, () => scope.swagger());
}
