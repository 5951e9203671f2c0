/**
 * What a log row says already is not said again in its changes, nor twice in its facts:
 * - in a change, no `t` when it is of a record, no rollout, host or channel where it is the row's own, and no
 *   hosts or gates where a fact of that name lists them;
 * - no hosts, in facts and changes, where they are the row's own host alone (format 2);
 * - in a `set`, `true` for an instant (`…At`) that is the row's own `ts`; in a blocker, `since: true` (`keep: true` there is
 *   no abbreviation: gates that a host has already keep their time);
 * - in a `set` of format 2, a text that begins with `=` names a fact of the row, or of the event in it, that has
 *   this value: `"state":"=to"`; `=` alone is a fact of the field's own name, and a text that truly begins with
 *   `=` is written with one more. `"probes":"="` is a pass that the row's event tells. `took` is an event's seq:
 *   the record's last, accepted now.
 * SQL reads the same in `record_changes` (migrations): what changes here changes there.
 */
import type { LogEntry } from '../reducer/log.ts';
import type { Change } from '../reducer/state/change.ts';
import type { Time } from '../reducer/time.ts';
import { SHAPES } from './log-change.ts';
import { isJsonObject } from './text.ts';

/** The columns that a payload leans on. */
export type PayloadRow = Pick<LogEntry, 'hostname' | 'rolloutId' | 'channel'> & {
  readonly ts: Time;
};

export type Facts = Readonly<Record<string, unknown>>;

const SUBJECTS = ['rolloutId', 'hostname', 'channel'] as const;

/** Where the value of a field is likely to stand in its row. What is elsewhere is written in full. */
const FACT_OF: ReadonlyMap<string, string> = new Map([
  ['state', 'to'],
  ['declaredProbes', 'probes'],
  ['activationStartedAt', 'startedAt'],
  ['probeObservedFirstAt', 'observedAt'],
  ['probeFailureFirstAt', 'observedAt'],
  ['reportedClosure', 'closure'],
  ['declaredRef', 'ref'],
  ...['targetClosure', 'soakDueAt', 'fleetHash', 'signedAt', 'ref', 'waitingRef', 'note'].map(
    (name): [string, string] => [name, name],
  ),
]);

function factOf(facts: Facts, name: string): unknown {
  if (Object.hasOwn(facts, name)) return facts[name];
  const event = facts['event'];
  return isJsonObject(event) && Object.hasOwn(event, name) ? event[name] : undefined;
}

/** The facts as they are written: a decision about one host names it by the row. */
export function writtenFacts(facts: Facts, row: Pick<PayloadRow, 'hostname'>): Facts {
  if (facts['scope'] !== 'host' || !isOwn(facts['hosts'], row)) return facts;
  const { hosts: _, ...rest } = facts;
  return rest;
}

/** The opposite of `writtenFacts`. */
export function wholeFacts(facts: Facts, row: PayloadRow): Facts {
  const own = facts['scope'] === 'host' && row.hostname !== null && !('hosts' in facts);
  return own ? { ...facts, hosts: [row.hostname] } : facts;
}

function isOwn(hosts: unknown, { hostname }: Pick<PayloadRow, 'hostname'>): boolean {
  return Array.isArray(hosts) && hosts.length === 1 && hosts[0] === hostname;
}

/** The hosts that a blocker without a list is of. */
function hostsOf({ hosts }: Facts, { hostname }: PayloadRow): unknown {
  return Array.isArray(hosts) ? hosts : [hostname];
}

/** Members that are undefined are not written. */
export function brief(change: Change, row: PayloadRow, facts: Facts): object {
  const short: Record<string, unknown> = { ...change };
  if (change.t === 'record') short['t'] = undefined;
  for (const subject of SUBJECTS) {
    if (short[subject] === row[subject]) short[subject] = undefined;
  }
  if (change.t === 'blocker') {
    if (sameList(change.hosts, hostsOf(facts, row))) short['hosts'] = undefined;
    if (sameList(change.gates, facts['gates'])) short['gates'] = undefined;
    if (change.since === row.ts) short['since'] = true;
  }
  if ('set' in change && change.set !== null)
    short['set'] = briefSet(change.t, change.set, row, facts);
  return short;
}

function sameList(list: readonly unknown[], other: unknown): boolean {
  return (
    Array.isArray(other) &&
    other.length === list.length &&
    list.every((item, i) => item === other[i])
  );
}

export function briefSet(t: Change['t'], fields: Facts, row: PayloadRow, facts: Facts): object {
  const took = t === 'record' && 'lastEventSeq' in fields && fields['lastAcceptedAt'] === row.ts;
  const short: Record<string, unknown> = {};
  for (const field in fields) {
    const value = fields[field];
    if (took && field === 'lastEventSeq') short['took'] = value;
    else if (took && field === 'lastAcceptedAt') continue;
    else if (value === row.ts && field.endsWith('At')) short[field] = true;
    else if (field === 'probes') short[field] = isTold(value, facts) ? '=' : value;
    else short[field] = briefValue(field, value, facts);
  }
  return short;
}

function briefValue(field: string, value: unknown, facts: Facts): unknown {
  if (value === null || (typeof value !== 'string' && typeof value !== 'object')) return value;
  const name = FACT_OF.get(field);
  if (name !== undefined && factOf(facts, name) === value) return name === field ? '=' : `=${name}`;
  return typeof value === 'string' && value.startsWith('=') ? `=${value}` : value;
}

/** The opposite of `brief`. `value` is parsed JSON of format `version`. */
export function whole(value: unknown, row: PayloadRow, facts: Facts, version: number): unknown {
  if (!isJsonObject(value)) return value;
  const full: Record<string, unknown> = { t: 'record', ...value };
  const shape = SHAPES.get(String(full['t'])) ?? {};
  for (const subject of SUBJECTS) {
    if (subject in shape && !(subject in full)) full[subject] = row[subject];
  }
  if (full['t'] === 'blocker') {
    full['hosts'] ??= hostsOf(facts, row);
    full['gates'] ??= facts['gates'];
    if (full['since'] === true) full['since'] = row.ts;
  }
  if (isJsonObject(full['set']))
    full['set'] = wholeSet(full['set'], row, version > 1 ? facts : null);
  return full;
}

/** `facts`: of the row; null in format 1, whose sets name none. */
function wholeSet(set: Facts, { ts }: PayloadRow, facts: Facts | null): Facts {
  const full: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(set)) {
    if (value === true && field.endsWith('At')) full[field] = ts;
    else if (facts === null) full[field] = value;
    else if (field === 'took') Object.assign(full, { lastEventSeq: value, lastAcceptedAt: ts });
    else if (field === 'probes') full[field] = value === '=' ? toldPass(facts) : value;
    else full[field] = wholeValue(field, value, facts);
  }
  return full;
}

function wholeValue(field: string, value: unknown, facts: Facts): unknown {
  if (typeof value !== 'string' || !value.startsWith('=')) return value;
  if (value.startsWith('==')) return value.slice(1);
  const fact = factOf(facts, value === '=' ? field : value.slice(1));
  if (fact === undefined)
    throw new Error(`a log payload that sets ${field} from ${value}, which it lacks`);
  return fact;
}

/** The record's probes after a pass that the row's event reports; null when it reports none. */
function toldPass({ event }: Facts): Facts | null {
  if (!isJsonObject(event) || typeof event['probeName'] !== 'string') return null;
  const { probeName, mode, observedAt } = event;
  const at = { lastObservedAt: observedAt, lastPassAt: observedAt };
  return { [probeName]: { status: 'pass', mode, ...at, failureReason: null } };
}

function isTold(probes: unknown, facts: Facts): boolean {
  const told = toldPass(facts);
  return told !== null && JSON.stringify(probes) === JSON.stringify(told);
}
