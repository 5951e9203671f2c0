/**
 * The payload of a log row, versioned: `v`, the row's own facts, and under `changes` what it assigned.
 * Facts are read by people and views, so they stay open; changes are read by the fold, so they are checked
 * for shape. Reading an older `v` is this file's business for as long as such rows exist: for ever.
 */
import type { LogEntry } from '../reducer/log.ts';
import type { Change } from '../reducer/state/change.ts';
import { isJsonObject } from './text.ts';

const VERSION = 1;

/** JSON text; its bytes are hashed into the chain and come back as written. */
export function encodePayload(entry: Pick<LogEntry, 'payload' | 'changes'>): string {
  if ('v' in entry.payload || 'changes' in entry.payload) {
    throw new Error('a log payload may not use the reserved names v and changes');
  }
  return JSON.stringify({ v: VERSION, ...entry.payload, changes: entry.changes });
}

export interface DecodedPayload {
  readonly payload: Readonly<Record<string, unknown>>;
  readonly changes: readonly Change[];
}

/** Throws on what no version of Muster wrote. `value` is parsed JSON. */
export function decodePayload(value: unknown): DecodedPayload {
  if (!isJsonObject(value) || value['v'] !== VERSION) {
    throw new Error('a log payload of an unknown version: this Muster is too old for its database');
  }
  const { v: _version, changes, ...payload } = value;
  if (!Array.isArray(changes)) throw new Error('a log payload without changes');
  return { payload, changes: changes.map(asChange) };
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
