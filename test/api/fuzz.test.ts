/**
 * Every operation of our own OpenAPI document, with requests that fit it, almost fit it, or do not fit it at all,
 * against a whole server: none may end in a 500, and every answer must be one that the document describes, word for
 * word. `MUSTER_FUZZ_RUNS` makes it longer; a failure prints the request and the seed.
 */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase } from '../support/database.ts';
import { EDGE, REF, startHttpServer, until, type HttpServer } from '../support/http-server.ts';
import { almost, isObject, NASTY, valuesOf, type JsonSchema } from './support/arbitrary.ts';

/** Of each operation: enough to find what is careless, few enough for every run of the tests. */
const RUNS = Number(process.env['MUSTER_FUZZ_RUNS'] ?? 25);
/** These may wait as they are meant to: whoever sees no answer by then has seen nothing wrong. */
const WAIT = ['/v1/agent/dispatch', '/v1/events/stream'];
const PATIENCE_MS = 400;
const ANSWERS_WITHIN_MS = 30_000;
const HOST = 'web-01';

interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required: boolean;
  readonly schema: JsonSchema;
}

interface Operation {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly Parameter[];
  readonly body: JsonSchema | null;
  /** By status; null: answered without a body of JSON. */
  readonly answers: ReadonlyMap<number, ValidateFunction | null>;
}

interface Shot {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

let server: HttpServer;
let operations: readonly Operation[] = [];

beforeAll(async () => {
  server = await startHttpServer((await createTestDatabase()).url);
  const read = async (path: string) =>
    (await server.call('GET', path, { as: 'operator:ada' })).text();
  await until(
    () => read('/v1/rollouts'),
    (text) => text.includes(EDGE),
  );
  const body = { hostname: HOST, current_closure: 'old', at: new Date().toISOString() };
  await server.call('POST', '/v1/agent/heartbeat', { as: `agent:${HOST}`, body });
  operations = operationsOf(JSON.parse(await read('/openapi.json')));
});
afterAll(() => server.stop());

function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>((of, name) => (isObject(of) ? of[name] : undefined), value);
}

function operationsOf(document: unknown): Operation[] {
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  const shared = at(document, 'components', 'schemas');
  for (const [name, schema] of Object.entries(shared ?? {}))
    ajv.addSchema(schema as object, `#/components/schemas/${name}`);
  return Object.entries(at(document, 'paths') ?? {}).flatMap(([path, methods]) =>
    Object.entries(isObject(methods) ? methods : {}).map(([method, operation]) => ({
      ...{ name: `${method.toUpperCase()} ${path}`, method: method.toUpperCase(), path },
      parameters: (at(operation, 'parameters') ?? []) as readonly Parameter[],
      body: (at(operation, 'requestBody', 'content', 'application/json', 'schema') ??
        null) as JsonSchema | null,
      answers: new Map(
        Object.entries(at(operation, 'responses') ?? {}).map(([status, answer]) => {
          const content = at(answer, 'content');
          const [type = ''] = Object.keys(isObject(content) ? content : {});
          const schema = at(content, type, 'schema');
          return [Number(status), isObject(schema) ? ajv.compile(schema) : null] as const;
        }),
      ),
    })),
  );
}

/** Things that exist, so that some requests get as far as the database. */
const KNOWN: Readonly<Record<string, fc.Arbitrary<string>>> = {
  id: fc.constantFrom(`stable@${REF}`, EDGE, 'stable@abc'),
  name: fc.constantFrom('stable', HOST, 'web-04', 'nobody'),
  wait: fc.constantFrom('0', '1'),
};

function textFor({ name, schema }: Parameter): fc.Arbitrary<string> {
  const fits = valuesOf(schema).map((value) =>
    typeof value === 'string' ? value : JSON.stringify(value),
  );
  const known = KNOWN[name];
  return fc.oneof(
    { weight: 2, arbitrary: fits },
    ...(known === undefined ? [] : [{ weight: 3, arbitrary: known }]),
    NASTY,
  );
}

/** A lone surrogate cannot be in a URL at all, and a segment of one or two dots is taken out of it before it is sent. */
function segmentOf(text: string): string {
  const wellFormed = Buffer.from(text).toString();
  return encodeURIComponent(/^\.{1,2}$/.test(wellFormed) ? `${wellFormed}-` : wellFormed);
}

/** What fetch would not send at all is no request. */
function headerSafe(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '').trim();
}

const CALLERS = fc.constantFrom(
  `agent:${HOST}`,
  `agent:${HOST}`,
  'operator:ada',
  'operator:ada',
  'agent:other',
  'root',
  '',
);

/** The caller has a copy, whichever. */
const COPIES = fc.option(fc.oneof(fc.constantFrom('*', '"a"', 'W/"a", *'), NASTY));

function shots({ path, parameters, body }: Operation): fc.Arbitrary<Shot> {
  const values = fc.tuple(
    ...parameters.map((parameter) =>
      parameter.required || parameter.in === 'path'
        ? textFor(parameter)
        : fc.option(textFor(parameter)),
    ),
  );
  const json = (schema: JsonSchema) =>
    fc.oneof(valuesOf(schema), almost(schema)).map((value) => JSON.stringify(ownHost(value)));
  const bodies =
    body === null
      ? fc.constant(null)
      : fc.oneof({ weight: 6, arbitrary: json(body) }, { weight: 1, arbitrary: NASTY });
  return fc
    .record({ values, caller: CALLERS, body: bodies, key: fc.uuid(), ifNoneMatch: COPIES })
    .map((one) => shotOf(path, parameters, one));
}

/** An agent's request for its own host gets further than one for a random name. */
function ownHost(value: unknown): unknown {
  return isObject(value) && 'hostname' in value && typeof value['hostname'] === 'string'
    ? { ...value, hostname: value['hostname'].length % 2 === 0 ? HOST : value['hostname'] }
    : value;
}

function shotOf(
  path: string,
  parameters: readonly Parameter[],
  {
    values,
    caller,
    body,
    key,
    ifNoneMatch,
  }: {
    readonly values: readonly (string | null)[];
    readonly caller: string;
    readonly body: string | null;
    readonly key: string;
    readonly ifNoneMatch: string | null;
  },
): Shot {
  const query = new URLSearchParams();
  const headers: Record<string, string> = {
    'x-muster-dev-identity': caller,
    'idempotency-key': key,
  };
  if (ifNoneMatch !== null) headers['if-none-match'] = headerSafe(ifNoneMatch);
  let filled = path;
  for (const [i, { name, in: place }] of parameters.entries()) {
    const value = values[i] ?? null;
    if (value === null) continue;
    if (place === 'path') filled = filled.replace(`{${name}}`, segmentOf(value));
    else if (place === 'query') query.set(name, value);
    else headers[name] = headerSafe(value);
  }
  if (body !== null) headers['content-type'] = 'application/json';
  return { url: `${filled}?${query.toString()}`, headers, body };
}

/** Null: nothing is wrong with the answer. */
async function complaint(operation: Operation, shot: Shot): Promise<string | null> {
  const { method, answers } = operation;
  const waits = WAIT.includes(operation.path);
  const giveUp = AbortSignal.timeout(waits ? PATIENCE_MS : ANSWERS_WITHIN_MS);
  const { url, headers, body } = shot;
  const answer = await fetch(server.url + url, { method, headers, body, signal: giveUp }).catch(
    () => null,
  );
  if (answer === null) return waits && giveUp.aborted ? null : 'no answer';
  const { status } = answer;
  if (status === 500) return '500';
  if (!answers.has(status))
    return `status ${status} is not in the document: ${await answer.text()}`;
  if (status === 503 && answer.headers.get('retry-after') === null)
    return '503 without Retry-After';
  const type = answer.headers.get('content-type') ?? '';
  const validate = answers.get(status) ?? null;
  if (validate === null || !type.includes('json')) {
    await answer.body?.cancel();
    return null;
  }
  const value: unknown = await answer.json();
  return validate(value)
    ? null
    : `${status} is not as described: ${JSON.stringify(validate.errors)}: ${JSON.stringify(value).slice(0, 500)}`;
}

describe('no request makes a 500, or an answer outside the document', () => {
  it(
    'of any operation',
    async () => {
      expect(operations.length).toBeGreaterThan(30);
      const found: string[] = [];
      for (const operation of operations) {
        const property = fc.asyncProperty(shots(operation), async (shot) => {
          const wrong = await complaint(operation, shot);
          if (wrong !== null) throw new Error(wrong);
        });
        const result = await fc.check(property, { numRuns: RUNS, endOnFailure: true });
        if (!result.failed) continue;
        const cause = result.errorInstance instanceof Error ? result.errorInstance.message : '';
        found.push(
          `${operation.name} (seed ${result.seed}): ${cause}\n  ${JSON.stringify(result.counterexample)}`,
        );
      }
      expect(found).toEqual([]);
    },
    120_000 + RUNS * 2_000,
  );
});
