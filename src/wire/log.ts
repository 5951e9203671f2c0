/**
 * The payload of a log row, versioned: `v`, the row's own facts, and under `changes` what it assigned.
 * Facts are read by people and views, so they stay open; changes are read by the fold, so they are checked
 * for shape. Reading an older `v` is this room's business for as long as such rows exist: for ever.
 *
 * What the row says already is not said again, which halves a log (`log-brief.ts`): no `changes` when there
 * are none, and `set` instead of them when all that changed is the record of the row's own host in its own
 * rollout.
 */
import type { LogEntry } from '../reducer/log.ts';
import type { Sliced } from '../reducer/slices.ts';
import type { Change } from '../reducer/state/change.ts';
import {
  brief,
  briefSet,
  whole,
  wholeFacts,
  writtenFacts,
  type Facts,
  type PayloadRow,
} from './log-brief.ts';
import { asChange } from './log-change.ts';
import { isJsonObject } from './text.ts';

/** 2: a set names a fact of its row instead of repeating it. */
const VERSION = 2;

const RESERVED = ['v', 'set', 'changes'];

/** JSON text; its bytes are hashed into the chain and come back as written. */
export function encodePayload(
  { payload, changes }: Pick<LogEntry, 'payload' | 'changes'>,
  row: PayloadRow,
): string {
  if (RESERVED.some((name) => name in payload)) {
    throw new Error(`a log payload may not use the reserved names ${RESERVED.join(', ')}`);
  }
  const text: Record<string, unknown> = { v: VERSION, ...writtenFacts(payload, row) };
  const [only, ...more] = changes;
  if (only !== undefined && more.length === 0 && isOwnRecord(only, row)) {
    text['set'] = briefSet(only.t, only.set, row, payload);
  } else if (only !== undefined) {
    text['changes'] = changes.map((change) => brief(change, row, payload));
  }
  return JSON.stringify(text);
}

/** Changes put into text at once: a few milliseconds. */
const CHANGES_AT_ONCE = 1_000;

/** The same text in short steps: one row takes back the dispatches of a whole fleet. */
export function* encoding(
  { payload, changes }: Pick<LogEntry, 'payload' | 'changes'>,
  row: PayloadRow,
): Sliced<string> {
  if (changes.length <= CHANGES_AT_ONCE) return encodePayload({ payload, changes }, row);
  const facts = encodePayload({ payload, changes: [] }, row);
  const texts: string[] = [];
  for (let at = 0; at < changes.length; at += CHANGES_AT_ONCE) {
    const some = changes.slice(at, at + CHANGES_AT_ONCE);
    texts.push(JSON.stringify(some.map((change) => brief(change, row, payload))).slice(1, -1));
    yield;
  }
  return `${facts.slice(0, -1)},"changes":[${texts.join(',')}]}`;
}

function isOwnRecord(change: Change, row: PayloadRow): change is Change & { t: 'record' } {
  return (
    change.t === 'record' && change.rolloutId === row.rolloutId && change.hostname === row.hostname
  );
}

export interface DecodedPayload {
  readonly payload: Facts;
  readonly changes: readonly Change[];
}

/** A payload of a later format: no fault of the log, unless its chain says that something else wrote it. */
export class NewerPayloadError extends Error {}

/** Throws on what no version of Muster wrote, and NewerPayloadError on a later one. `value` is parsed JSON. */
export function decodePayload(value: unknown, row: PayloadRow): DecodedPayload {
  if (!isJsonObject(value) || typeof value['v'] !== 'number')
    throw new Error('a log payload that no version of Muster wrote');
  const { v, set, changes = set === undefined ? [] : [{ set }], ...facts } = value;
  if (v !== 1 && v !== VERSION) {
    throw new NewerPayloadError(
      'a log payload of an unknown version: this Muster is too old for its database',
    );
  }
  if (!Array.isArray(changes)) throw new Error('a log payload whose changes are no list');
  const payload = wholeFacts(facts, row);
  return { payload, changes: changes.map((change) => asChange(whole(change, row, payload, v))) };
}
