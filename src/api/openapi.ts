/**
 * What the routes' schemas cannot say of themselves: every error is problem+json, and some answers carry
 * headers. Done once over the whole document, so that no route can forget it.
 */
import { PROBLEM_TYPE, ProblemSchema } from '../wire/problem.ts';

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

/** `404: application/json` becomes `404: application/problem+json`. */
function describeAnswer(answer: unknown, status: string): unknown {
  if (!isObject(answer) || Number(status) < 400 || !isObject(answer['content'])) return answer;
  const { 'application/json': problem } = answer['content'];
  // Readiness answers 503 with its own body.
  if (!isObject(problem) || !JSON.stringify(problem).includes('about:blank')) return answer;
  return {
    ...answer,
    content: { [PROBLEM_TYPE]: problem },
    ...(HEADERS[status] === undefined ? {} : { headers: HEADERS[status] }),
  };
}

/** What any request may be told before anybody looks at what it asks for. */
const ANY_OTHER = {
  description:
    'Refused before it reached the operation: 400 and 431 for a request or headers that cannot be read, 408 for one that comes too slowly, 413 and 415 for its body.',
  content: { [PROBLEM_TYPE]: { schema: ProblemSchema } },
};

/** The document as it is served. */
export function describeErrors(document: object): object {
  const paths = mapValues('paths' in document ? document.paths : {}, (methods) =>
    mapValues(methods, (operation) =>
      isObject(operation)
        ? {
            ...operation,
            responses: {
              ...mapValues(operation['responses'], describeAnswer),
              default: ANY_OTHER,
            },
          }
        : operation,
    ),
  );
  return { ...document, paths };
}
