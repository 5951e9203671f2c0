/**
 * The payload of a log row, versioned: `v`, the row's own facts, and under `changes` what it assigned.
 * Facts are read by people and views, so they stay open; changes are read by the fold, so they are checked
 * for shape. Reading an older `v` is this file's business for as long as such rows exist: for ever.
 *
 * What the row says already is not said again, which halves a log:
 * - no `changes` when there are none, and `set` instead of them when all that changed is the record of the
 *   row's own host in its own rollout;
 * - in a change, no `t` when it is of a record, no rollout, host or channel where it is the row's own, and no
 *   hosts or gates where a fact of that name lists them;
 * - in a `set`, `true` for an instant (`…At`) that is the row's own `ts`; in a blocker, `since: true`.
 */
import type { LogEntry } from '../reducer/log.ts';
import type { Change } from '../reducer/state/change.ts';
import type { Time } from '../reducer/time.ts';
import { isJsonObject } from './text.ts';

const VERSION = 1;

/** The columns that a payload leans on. */
export type PayloadRow = Pick<LogEntry, 'hostname' | 'rolloutId' | 'channel'> & {
  readonly ts: Time;
};

type Json = Readonly<Record<string, unknown>>;

const RESERVED = ['v', 'set', 'changes'];
const SUBJECTS = ['rolloutId', 'hostname', 'channel'] as const;

/** JSON text; its bytes are hashed into the chain and come back as written. */
export function encodePayload(
  { payload, changes }: Pick<LogEntry, 'payload' | 'changes'>,
  row: PayloadRow,
): string {
  if (RESERVED.some((name) => name in payload)) {
    throw new Error(`a log payload may not use the reserved names ${RESERVED.join(', ')}`);
  }
  const [only, ...more] = changes;
  if (only === undefined) return JSON.stringify({ v: VERSION, ...payload });
  if (more.length === 0 && isOwnRecord(only, row)) {
    return JSON.stringify({ v: VERSION, ...payload, set: briefSet(only.set, row.ts) });
  }
  const short = changes.map((change) => brief(change, row, payload));
  return JSON.stringify({ v: VERSION, ...payload, changes: short });
}

function isOwnRecord(change: Change, row: PayloadRow): change is Change & { t: 'record' } {
  return (
    change.t === 'record' && change.rolloutId === row.rolloutId && change.hostname === row.hostname
  );
}

/** Members that are undefined are not written. */
function brief(change: Change, row: PayloadRow, facts: Json): object {
  const short: Record<string, unknown> = { ...change };
  if (change.t === 'record') short['t'] = undefined;
  for (const subject of SUBJECTS) {
    if (short[subject] === row[subject]) short[subject] = undefined;
  }
  if (change.t === 'blocker') {
    for (const list of ['hosts', 'gates'] as const) {
      if (sameList(change[list], facts[list])) short[list] = undefined;
    }
    if (change.since === row.ts) short['since'] = true;
  }
  if ('set' in change && change.set !== null) short['set'] = briefSet(change.set, row.ts);
  return short;
}

function sameList(list: readonly string[], other: unknown): boolean {
  return (
    Array.isArray(other) &&
    other.length === list.length &&
    list.every((item, i) => item === other[i])
  );
}

function briefSet(fields: object, ts: Time): object {
  const set: Record<string, unknown> = { ...fields };
  for (const field in set) if (set[field] === ts && field.endsWith('At')) set[field] = true;
  return set;
}

export interface DecodedPayload {
  readonly payload: Json;
  readonly changes: readonly Change[];
}

/** Throws on what no version of Muster wrote. `value` is parsed JSON. */
export function decodePayload(value: unknown, row: PayloadRow): DecodedPayload {
  if (!isJsonObject(value) || value['v'] !== VERSION) {
    throw new Error('a log payload of an unknown version: this Muster is too old for its database');
  }
  const { v: _version, set, changes = set === undefined ? [] : [{ set }], ...payload } = value;
  if (!Array.isArray(changes)) throw new Error('a log payload whose changes are no list');
  return { payload, changes: changes.map((change) => asChange(whole(change, row, payload))) };
}

/** The opposite of `brief`. */
function whole(value: unknown, row: PayloadRow, facts: Json): unknown {
  if (!isJsonObject(value)) return value;
  const full: Record<string, unknown> = { t: 'record', ...value };
  const shape = SHAPES.get(String(full['t'])) ?? {};
  for (const subject of SUBJECTS) {
    if (subject in shape && !(subject in full)) full[subject] = row[subject];
  }
  if (full['t'] === 'blocker') {
    full['hosts'] ??= facts['hosts'];
    full['gates'] ??= facts['gates'];
    if (full['since'] === true) full['since'] = row.ts;
  }
  if (isJsonObject(full['set'])) full['set'] = withInstants(full['set'], row.ts);
  return full;
}

function withInstants(set: Json, ts: Time): object {
  const full: Record<string, unknown> = { ...set };
  for (const field in full) if (full[field] === true && field.endsWith('At')) full[field] = ts;
  return full;
}

function asChange(value: unknown): Change {
  if (isChange(value)) return value;
  throw new Error(`a log payload with an unknown change: ${JSON.stringify(value).slice(0, 200)}`);
}

type Shape = Readonly<Record<string, 'text' | 'set' | 'removable' | 'list' | 'time'>>;

/** What each change must hold, besides `t`. */
const SHAPES: ReadonlyMap<string, Shape> = new Map<Change['t'], Shape>([
  ['fleet', { set: 'set' }],
  ['channel', { channel: 'text', set: 'set' }],
  ['rollout', { rolloutId: 'text', set: 'set' }],
  ['records', { rolloutId: 'text', channel: 'text', hosts: 'list' }],
  ['record', { rolloutId: 'text', hostname: 'text', set: 'set' }],
  ['host', { hostname: 'text', set: 'set' }],
  ['dispatch', { rolloutId: 'text', hostname: 'text', set: 'removable' }],
  ['quarantine', { channel: 'text', closure: 'text', set: 'removable' }],
  [
    'probeFailure',
    { rolloutId: 'text', hostname: 'text', probeName: 'text', controlId: 'text', set: 'removable' },
  ],
  ['blocker', { rolloutId: 'text', hosts: 'list', gates: 'list', since: 'time' }],
  ['prune', { rolloutId: 'text' }],
]);

function isChange(value: unknown): value is Change {
  if (!isJsonObject(value)) return false;
  const shape = SHAPES.get(String(value['t']));
  if (shape === undefined) return false;
  return Object.entries(shape).every(([key, kind]) => fits(value[key], kind));
}

function fits(value: unknown, kind: Shape[string]): boolean {
  switch (kind) {
    case 'text':
      return typeof value === 'string';
    case 'set':
      return isJsonObject(value);
    case 'removable':
      return value === null || isJsonObject(value);
    case 'list':
      return Array.isArray(value);
    case 'time':
      return value === null || typeof value === 'string';
  }
}
