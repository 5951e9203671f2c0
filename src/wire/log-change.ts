/** The shapes of changes as the log holds them: they are read by the fold, so they are checked. */
import type { Change } from '../reducer/state/change.ts';
import { isJsonObject } from './text.ts';

export function asChange(value: unknown): Change {
  if (isChange(value)) return value;
  throw new Error(`a log payload with an unknown change: ${JSON.stringify(value).slice(0, 200)}`);
}

type Shape = Readonly<Record<string, 'text' | 'set' | 'removable' | 'list' | 'time'>>;

/** What each change must hold, besides `t`. */
export const SHAPES: ReadonlyMap<string, Shape> = new Map<Change['t'], Shape>([
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
  ['enrolment', { nonce: 'text', set: 'removable' }],
  ['blocker', { rolloutId: 'text', hosts: 'list', gates: 'list', since: 'time' }],
  ['token', { tokenId: 'text', set: 'removable' }],
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
