/** What probes, scrapers and tools ask of a process, whoever they are: no identity, and no secrets. */
import { Type } from '@sinclair/typebox';
import { within } from '../../db/deadline.ts';
import type { ApiDeps } from '../deps.ts';
import { describeErrors } from '../openapi.ts';
import type { Scope } from '../scope.ts';
import { ProblemSchema } from '../../wire/problem.ts';

const Health = Type.Object({ status: Type.Literal('ok') });
const METRICS = {
  description: 'In the text format.',
  content: { 'text/plain': { schema: Type.String() } },
};
const Ready = Type.Object({ ready: Type.Boolean(), reasons: Type.Array(Type.String()) });

/** Far less than a balancer waits between two questions. */
const SHARED_MS = 250;

/** A tenth of a scraper's patience: numbers a little old are worth more than none while the database makes everyone wait. */
const LOOK_MS = 1_000;

/** Anyone may ask, as often as they like, and it takes the database three statements: who asks soon after shares. */
function shared({ readiness, clock }: ApiDeps): ApiDeps['readiness'] {
  let last: { readonly answer: ReturnType<typeof readiness>; readonly at: number } | null = null;
  return () => {
    const now = clock.monotonic();
    if (last === null || now - last.at > SHARED_MS) last = { answer: readiness(), at: now };
    return last.answer;
  };
}

export function addProcess(scope: Scope, deps: ApiDeps): void {
  const readiness = shared(deps);
  const anyone = { audience: 'anyone' } as const;
  const config = { ...anyone, isProbe: true };
  const file = { ...anyone, isFile: true };
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
      const { ready, reasons } = await readiness();
      return reply.code(ready ? 200 : 503).send({ ready, reasons: [...reasons] });
    },
  );
  scope.get(
    '/metrics',
    {
      config: file,
      schema: {
        ...{ summary: 'Prometheus metrics', tags: ['process'] },
        response: { 200: METRICS, 503: ProblemSchema },
      },
    },
    async (_request, reply) => {
      // Looks at the queue, whose gauges would else stay as they were when an input last came.
      await within(readiness(), LOOK_MS, () => undefined).catch(() => null);
      return reply.type(deps.metrics.contentType).send(await deps.metrics.expose());
    },
  );
  // The same for as long as the process runs, and large: made once.
  let description: Buffer | null = null;
  scope.get('/openapi.json', { config: file, schema: { hide: true } }, (_request, reply) => {
    description ??= Buffer.from(JSON.stringify(describeErrors(scope.swagger())));
    return reply.type('application/json; charset=utf-8').send(description);
  });
}
