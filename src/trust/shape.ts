/**
 * From parsed JSON to a typed value: the one place where "null and absent are the same", "defaults",
 * "aliases" and "unknown fields are ignored" are decided, for the trust file and every artifact alike.
 *
 * Schemas say it: `{ default: [] }` is what an absent field becomes, `{ alias: 'platform' }` what older
 * producers call it. Unknown fields are dropped from the value; the signature covers them all the same,
 * because it is over the bytes.
 */
import { KindGuard, type Static, type TSchema, type TString, Type } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import {
  HOSTNAME_PATTERN,
  HostnameSchema,
  isRolloutId,
  MAX_HOSTNAME,
  type RolloutId,
} from '../wire/ids.ts';
import { isObject, type Json, type JsonObject, setOwn } from './json.ts';

export type Decoded<T> = { ok: true; value: T } | { ok: false; detail: string };

export function decoder<S extends TSchema>(schema: S): (json: Json) => Decoded<Static<S>> {
  const check = TypeCompiler.Compile(schema);
  return (json) => {
    const value: unknown = shaped(schema, json);
    if (check.Check(value)) return { ok: true, value };
    return { ok: false, detail: firstError(check.Errors(value).First()) };
  };
}

/**
 * A copy with only the fields of the schema. What does not fit is copied as it is, for the check to find.
 * Ours, since TypeBox's Value.Default skips the items of maps and visits nested objects 2^depth times.
 */
function shaped(schema: TSchema, json: Json): Json {
  if (KindGuard.IsArray(schema) && Array.isArray(json)) {
    return json.map((item) => shaped(schema.items, item));
  }
  if (!isObject(json)) return json;
  if (KindGuard.IsObject(schema)) return shapedObject(schema.properties, json);
  const [item] = KindGuard.IsRecord(schema) ? Object.values(schema.patternProperties) : [];
  return item === undefined ? json : shapedMap(item, json);
}

function shapedObject(properties: Record<string, TSchema>, json: JsonObject): JsonObject {
  const result: JsonObject = {};
  for (const [key, schema] of Object.entries(properties)) {
    const value = json[key] ?? aliased(schema, json) ?? defaultOf(schema);
    if (value !== undefined) result[key] = shaped(schema, value);
  }
  return result;
}

function shapedMap(item: TSchema, json: JsonObject): JsonObject {
  const result: JsonObject = {};
  for (const [key, value] of Object.entries(json)) {
    if (value !== null) setOwn(result, key, shaped(item, value));
  }
  return result;
}

function aliased(schema: TSchema, json: JsonObject): Json | undefined {
  const alias: unknown = schema.alias;
  return typeof alias === 'string' ? (json[alias] ?? undefined) : undefined;
}

/** Only what stands in our own schemas: empty lists and maps, and plain values. */
function defaultOf(schema: TSchema): Json | undefined {
  const value: unknown = schema.default;
  if (Array.isArray(value)) return [];
  if (typeof value === 'object') return {};
  return typeof value === 'string' || typeof value === 'boolean' ? value : undefined;
}

const TEXT = '^[^\\u0000]*$';
const NAME = '^[^\\u0000]+$';
/** Any text but NUL, which PostgreSQL cannot store. */
export const Text = Type.String({ pattern: TEXT });
export const Name = Type.String({ pattern: NAME });
export const Hostname = HostnameSchema;
/** The same for keys of a map, whose schema has room for a pattern only. */
export const HostnameKey = Type.String({
  pattern: `^(?=.{1,${String(MAX_HOSTNAME)}}$)${HOSTNAME_PATTERN.slice(1)}`,
});
/** The two halves of a rollout id, which becomes part of a path and of SQL. */
export const ChannelName = Type.String({ pattern: '^[a-z0-9_-]{1,64}$' });
export const ChannelRef = Type.String({ pattern: '^[0-9a-f]{1,64}$' });

/** `most`: of what costs something by itself; all else is bounded by the size of the document. */
export function listOf<S extends TSchema>(item: S, most?: number) {
  return Type.Array(item, { default: [], ...(most === undefined ? {} : { maxItems: most }) });
}

/** A name that older producers write under another key. */
export function nameOrAlias(alias: string) {
  return Type.String({ pattern: NAME, alias });
}

export function textOr(fallback: string) {
  return Type.String({ pattern: TEXT, default: fallback });
}

/**
 * An object used as a map. A key that does not match fails, instead of passing unchecked; `__proto__`
 * always does, so that nobody downstream has to think of it.
 */
export function mapOf<S extends TSchema>(
  key: TString,
  item: S,
  options: { default?: object } = {},
) {
  const pattern = `^(?!__proto__$)${(key.pattern ?? NAME).slice(1)}`;
  return Type.Record(Type.String({ pattern }), item, { ...options, additionalProperties: false });
}

/** Real maps, so that a host called `constructor` finds no inherited property. */
export function toMap<T>(record: Record<string, T>): ReadonlyMap<string, T> {
  return new Map(Object.entries(record));
}

/** Both halves have passed their schemas. */
export function rolloutIdOf(channel: string, ref: string): RolloutId {
  const id = `${channel}@${ref}`;
  if (!isRolloutId(id)) throw new Error(`unchecked rollout id ${JSON.stringify(id)}`);
  return id;
}

export const Meta = Type.Object({
  schemaVersion: Type.Optional(Type.Integer()),
  signedAt: Name,
  ciCommit: Type.Optional(ChannelRef),
  signatureAlgorithm: Type.Optional(Text),
});
export type Meta = Static<typeof Meta>;

/** `hosts.web-01.channel`, for people. */
function firstError(error: { path: string; message: string } | undefined): string {
  if (error === undefined) return 'does not match its schema';
  const place = error.path
    .slice(1)
    .replaceAll('/', '.')
    .replaceAll('~1', '/')
    .replaceAll('~0', '~');
  return `${place === '' ? 'the document' : place}: ${error.message}`;
}
