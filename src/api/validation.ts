/**
 * What a request must look like is said by its route's schema; here is how it is compared, and the sentence
 * that refuses it. A body is taken as it was written: the number 5 is no text, and a reason of five would be
 * logged for ever. A query is text by nature, so where its schema asks for a whole number one is read. Operators
 * are refused what a route does not know: a mistyped filter would name the whole fleet to a script that acts on
 * the list, and a mistyped `dryRun` would carry the command out. Agents of later versions may ask for more.
 */
import type { FastifyInstance, FastifySchemaValidationError } from 'fastify';
import { isJsonObject } from '../wire/text.ts';
import { Refusal } from './refusal.ts';
import { routeOf } from './route.ts';

/** For `fastify()`. */
export const VALIDATION = {
  // Verbose: an error carries the schema that it offends, of which the sentence is made.
  ajv: { customOptions: { coerceTypes: false, verbose: true } },
  schemaErrorFormatter: refusalOf,
} as const;

export function addValidation(app: FastifyInstance): void {
  app.addHook('preValidation', (request, _reply, done) => {
    const { query } = request;
    if (request.is404 || !isJsonObject(query) || isEmpty(query)) {
      done();
      return;
    }
    const { schema, config } = routeOf(request);
    const known = knownOf(schema?.querystring);
    if (config.audience === 'operator') mustKnow(query, Object.keys(known));
    request.query = withNumbers(query, known);
    done();
  });
}

type Json = Readonly<Record<string, unknown>>;

function isEmpty(query: Json): boolean {
  for (const _name in query) return false;
  return true;
}

/** Parameters that a route takes, each with its schema. */
function knownOf(querystring: unknown): Json {
  const properties = isJsonObject(querystring) ? querystring['properties'] : {};
  return isJsonObject(properties) ? properties : {};
}

const MOST_QUOTED = 64;

function mustKnow(query: Json, known: readonly string[]): void {
  const unknown = Object.keys(query).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  const takes = known.length === 0 ? 'this takes none' : `this takes ${known.join(', ')}`;
  throw new Refusal(
    'malformed',
    `there is no query parameter ${unknown.slice(0, MOST_QUOTED)} here; ${takes}`,
  );
}

function withNumbers(query: Json, properties: Json): Json {
  const read = (name: string, value: unknown): unknown => {
    const asked = properties[name];
    const isNumber = isJsonObject(asked) && asked['type'] === 'integer';
    // More digits than a safe integer has are junk, and stay the text that they are.
    return isNumber && typeof value === 'string' && /^-?\d{1,15}$/.test(value)
      ? Number(value)
      : value;
  };
  return Object.fromEntries(Object.entries(query).map(([name, of]) => [name, read(name, of)]));
}

const WHERE: Readonly<Record<string, string>> = {
  body: 'in the body',
  querystring: 'in the query',
  params: 'in the path',
  headers: 'in the headers',
};

/** The last error is the outermost: of a choice, all that may be chosen. */
function refusalOf(errors: readonly FastifySchemaValidationError[], part: string): Refusal {
  const where = WHERE[part] ?? part;
  const error: Partial<FastifySchemaValidationError> & { parentSchema?: unknown } =
    errors.at(-1) ?? {};
  const { keyword, instancePath = '', params = {}, parentSchema } = error;
  const path = instancePath.slice(1).replaceAll('/', '.');
  const missing = params['missingProperty'];
  if (keyword === 'required' && typeof missing === 'string') {
    const name = path === '' ? missing : `${path}.${missing}`;
    const of = isJsonObject(parentSchema) ? parentSchema['properties'] : {};
    return malformed(
      `${name} ${where} is missing; give ${wanted(isJsonObject(of) ? of[missing] : {})}`,
    );
  }
  const subject = path === '' ? `what is ${where}` : `${path} ${where}`;
  return malformed(`${subject} must be ${wanted(parentSchema)}`);
}

function malformed(said: string): Refusal {
  return new Refusal('malformed', `${said}; see /openapi.json`);
}

/** What a schema asks for, in words. */
function wanted(schema: unknown): string {
  if (!isJsonObject(schema)) return 'something else';
  const { anyOf, description } = schema;
  const what = Array.isArray(anyOf) ? choice(anyOf) : typed(schema);
  return typeof description === 'string' ? `${what} (${description.replace(/\.$/, '')})` : what;
}

function choice(among: readonly unknown[]): string {
  const literals = among.flatMap((one) =>
    isJsonObject(one) && one['const'] !== undefined ? [plain(one['const'])] : [],
  );
  if (literals.length === among.length) return `one of ${literals.join(', ')}`;
  return among.map(wanted).join(', or ');
}

function typed(schema: Json): string {
  const { type, pattern, minimum, maximum, maxLength } = schema;
  switch (type) {
    case 'integer':
      return `a whole number${bounds(minimum, maximum)}`;
    case 'string': {
      const length =
        typeof maxLength === 'number' ? ` of up to ${String(maxLength)} characters` : '';
      return `one text${length}${typeof pattern === 'string' ? ` that matches ${pattern}` : ''}`;
    }
    case 'array':
      return `a list, each of it ${wanted(schema['items'])}`;
    case 'object':
      return 'a JSON object';
    default:
      return plain(type ?? schema['const']);
  }
}

function plain(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function bounds(least: unknown, most: unknown): string {
  const [from, to] = [least, most].map((bound) => (typeof bound === 'number' ? bound : null));
  // The largest number that there is limits nothing.
  const isOpen = to == null || to === Number.MAX_SAFE_INTEGER;
  if (from == null) return isOpen ? '' : `, ${String(to)} at the most`;
  return isOpen ? ` from ${String(from)} up` : ` from ${String(from)} to ${String(to)}`;
}
