/**
 * What the routes' schemas cannot say of themselves: every error is problem+json with one of a few codes, and
 * some answers carry headers. Done once over the whole document, so that no route can forget it.
 */
import {
  isProblemCode,
  PROBLEM_TYPE,
  PROBLEMS,
  ProblemSchema,
  type ProblemCode,
} from '../wire/problem.ts';

const RETRY_AFTER = {
  'Retry-After': {
    description: 'Seconds, spread at random; then send the same again.',
    schema: { type: 'integer', minimum: 1 },
  },
};
const HEADERS: Readonly<Record<string, object>> = { 429: RETRY_AFTER, 503: RETRY_AFTER };

type Json = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function mapValues(value: unknown, change: (value: unknown, key: string) => unknown): Json {
  if (!isObject(value)) return {};
  return Object.fromEntries(Object.entries(value).map(([key, of]) => [key, change(of, key)]));
}

/** Codes that only some are told, by the tag of the operation; any other code may be told to everybody. */
const TOLD_TO: Readonly<Partial<Record<ProblemCode, readonly string[]>>> = {
  ...toldTo(['agent'], 'unknown-kind', 'bad-csr', 'bad-token', 'token-expired', 'not-configured'),
  ...toldTo(['agent'], 'fingerprint-mismatch', 'nonce-unknown', 'nonce-used', 'revoked'),
  ...toldTo(['agent'], 'wrong-host', 'seq-regression', 'illegal-transition', 'key-reused'),
  ...toldTo(['agent'], 'invariant-violated', 'unknown-rollout-host'),
  ...toldTo(['operator'], 'bad-cursor', 'stale-cursor'),
  ...toldTo(['operator', 'commands'], 'needs-operator', 'needs-admin', 'outside-scope'),
  ...toldTo(['commands'], 'idempotency-key-missing', 'idempotency-key-reused'),
  ...toldTo(['commands'], 'stale-expectation', 'illegal-command'),
  // Who is told so has met no operation.
  ...toldTo([], 'no-route'),
};

function toldTo(tags: readonly string[], ...codes: readonly ProblemCode[]) {
  return Object.fromEntries(codes.map((code) => [code, tags]));
}

const CODES = Object.keys(PROBLEMS).filter(isProblemCode);

function codesOf(status: number, tags: readonly unknown[]): ProblemCode[] {
  return CODES.filter(
    (code) =>
      PROBLEMS[code][0] === status && (TOLD_TO[code]?.some((tag) => tags.includes(tag)) ?? true),
  );
}

/** The schema of a problem, with the codes that it may carry. */
function withCodes(problem: Json, codes: readonly ProblemCode[]): Json {
  const properties = mapValues(problem['properties'], (of, name) =>
    name === 'code' && isObject(of) ? { ...of, enum: codes } : of,
  );
  return { ...problem, properties };
}

/** Problems of the document, by what they are: some forty operations share a dozen, which are written once. */
class Shared {
  readonly schemas: Record<string, unknown> = {};
  private readonly names = new Map<string, string>();

  refTo(schema: unknown): Json {
    const text = JSON.stringify(schema);
    const name = this.names.get(text) ?? `Problem${String(this.names.size + 1)}`;
    this.names.set(text, name);
    this.schemas[name] = schema;
    return { $ref: `#/components/schemas/${name}` };
  }
}

/** `404: application/json` becomes `404: application/problem+json`. */
function describeAnswer(
  answer: unknown,
  status: string,
  tags: readonly unknown[],
  shared: Shared,
): unknown {
  if (!isObject(answer) || Number(status) < 400 || !isObject(answer['content'])) return answer;
  const { 'application/json': problem } = answer['content'];
  // Readiness answers 503 with its own body.
  if (!isObject(problem) || !JSON.stringify(problem).includes('about:blank')) return answer;
  const { schema } = problem;
  const coded = isObject(schema) ? withCodes(schema, codesOf(Number(status), tags)) : schema;
  return {
    ...answer,
    content: { [PROBLEM_TYPE]: { ...problem, schema: shared.refTo(coded) } },
    ...(HEADERS[status] === undefined ? {} : { headers: HEADERS[status] }),
  };
}

/** What any request may be told before anybody looks at what it asks for. */
const anyOther = (shared: Shared): Json => ({
  description:
    'Refused before it reached the operation: 400 and 431 for a request or headers that cannot be read, 408 for one that comes too slowly, 413 and 415 for its body; or 500, a fault of the control plane.',
  content: {
    [PROBLEM_TYPE]: {
      schema: shared.refTo(
        withCodes(
          ProblemSchema,
          [400, 408, 413, 415, 431, 500].flatMap((of) => codesOf(of, [])),
        ),
      ),
    },
  },
});

function describeOperation(operation: unknown, shared: Shared): unknown {
  if (!isObject(operation)) return operation;
  const tags: readonly unknown[] = Array.isArray(operation['tags']) ? operation['tags'] : [];
  const answers = mapValues(operation['responses'], (answer, status) =>
    describeAnswer(answer, status, tags, shared),
  );
  return { ...operation, responses: { ...answers, default: anyOther(shared) } };
}

/** The document as it is served. */
export function describeErrors(document: object): object {
  const shared = new Shared();
  const paths = mapValues('paths' in document ? document.paths : {}, (methods) =>
    mapValues(methods, (operation) => describeOperation(operation, shared)),
  );
  return { ...document, paths, components: { schemas: shared.schemas } };
}
