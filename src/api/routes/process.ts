/** What probes, scrapers and tools ask of a process, whoever they are: no identity, and no secrets. */
import { Type } from '@sinclair/typebox';
import type { ApiDeps } from '../deps.ts';
import { describeErrors } from '../openapi.ts';
import type { Scope } from '../scope.ts';

const Health = Type.Object({ status: Type.Literal('ok') });
const Ready = Type.Object({ ready: Type.Boolean(), reasons: Type.Array(Type.String()) });

export function addProcess(scope: Scope, deps: ApiDeps): void {
  const config = { audience: 'anyone' } as const;
  scope.get(
    '/healthz',
    {
      config,
      schema: { summary: 'Is the process alive?', tags: ['process'], response: { 200: Health } },
    },
    () => ({ status: 'ok' as const }),
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
      const { ready, reasons } = await deps.readiness();
      return reply.code(ready ? 200 : 503).send({ ready, reasons: [...reasons] });
    },
  );
  scope.get(
    '/metrics',
    {
      config,
      schema: { summary: 'Prometheus metrics', tags: ['process'], produces: ['text/plain'] },
    },
    async (_request, reply) => {
      // Looks at the queue, whose gauges would else stay as they were when an input last came.
      await deps.readiness().catch(() => null);
      return reply.type(deps.metrics.contentType).send(await deps.metrics.expose());
    },
  );
  scope.get('/openapi.json', { config, schema: { hide: true } }, () =>
    describeErrors(scope.swagger()),
  );
}
