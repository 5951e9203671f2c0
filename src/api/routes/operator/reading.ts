/** What the operator's reads share: pages walked by key, cursors, filters, absent members, and ETags. */
import { type Static, type TSchema, Type } from '@sinclair/typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { hasSameEtag, UNCHANGED } from '../../etag.ts';
import { readLeader } from '../../../db/overview.ts';
import { ProblemSchema } from '../../../wire/problem.ts';
import { isJsonObject } from '../../../wire/text.ts';
import { isHostname, isRolloutId } from '../../../wire/ids.ts';
import type { ApiDeps } from '../../deps.ts';
import { Refusal } from '../../refusal.ts';

export const PAGE_PARAMS = {
  limit: Type.Optional(Type.String({ description: 'Entries of one page.' })),
  cursor: Type.Optional(Type.String({ description: 'nextCursor of the page before.' })),
};
export const PageSchema = Type.Object(PAGE_PARAMS);
export type Page = Static<typeof PageSchema>;

export const RolloutParams = Type.Object({
  id: Type.String({ description: '{channel}@{channelRef}' }),
});

const PROBLEM_ANSWERS = {
  400: ProblemSchema,
  401: ProblemSchema,
  403: ProblemSchema,
  404: ProblemSchema,
  409: ProblemSchema,
  426: ProblemSchema,
  429: ProblemSchema,
  503: ProblemSchema,
};

/** Whom every route for operators serves. */
export const OPERATOR = { audience: 'operator' } as const;

/** What all of these routes share; each adds what it takes. */
export function about<T extends TSchema>(summary: string, answer: T) {
  return { summary, tags: ['operator'], response: { 200: answer, ...PROBLEM_ANSWERS } };
}

/** Of what `isUnchanged` may answer: the same, and that the caller's copy still is. */
export function aboutCommitted<T extends TSchema>(summary: string, answer: T) {
  const { response, ...rest } = about(summary, answer);
  return { ...rest, response: { ...response, 304: UNCHANGED } };
}

export function limitOf({ limit }: Page, most: number): number {
  if (limit === undefined) return most;
  const wanted = Number(limit);
  // More than a page is a page, so that a client may ask for "all" and walk; a number of 20 digits is junk.
  if (/^\d{1,9}$/.test(limit) && wanted >= 1) return Math.min(wanted, most);
  throw new Refusal('malformed', `limit is a whole number from 1 to ${String(most)}`);
}

export function badCursor(): Refusal {
  return new Refusal('bad-cursor', 'cursor is not one that this list gave; start without one');
}

export function numberCursor(cursor: string | undefined, first: number): number {
  if (cursor === undefined) return first;
  const value = Number(cursor);
  if (/^\d{1,16}$/.test(cursor) && Number.isSafeInteger(value)) return value;
  throw badCursor();
}

/** The parts of a cursor as `cursorOf` wrote it; null without one. */
export function partsOf(cursor: string | undefined, parts: number): readonly string[] | null {
  if (cursor === undefined) return null;
  const found = cursor.split('|').flatMap(decoded);
  if (found.length === parts) return found;
  throw badCursor();
}

function decoded(part: string): string[] {
  try {
    const text = decodeURIComponent(part);
    // NUL would be refused by the database.
    return text.includes('\u0000') ? [] : [text];
  } catch {
    return []; // no part of ours
  }
}

export function cursorOf(...parts: readonly (string | number)[]): string {
  return parts.map((part) => encodeURIComponent(part)).join('|');
}

export function rolloutIdOf(id: string): string {
  if (isRolloutId(id)) return id;
  throw new Refusal('malformed', 'a rollout id is {channel}@{channelRef}');
}

export function hostnameOf(name: string): string {
  if (isHostname(name)) return name;
  throw new Refusal('malformed', 'that is no host name');
}

/** One of a few texts; null when it was not asked for. */
export function choiceOf<T extends string>(
  name: string,
  value: string | undefined,
  choices: readonly T[],
): T | null {
  if (value === undefined) return null;
  const found = choices.find((choice) => choice === value);
  if (found !== undefined) return found;
  throw new Refusal('malformed', `${name} is one of ${choices.join(', ')}`);
}

/** A channel's name, where lists take one as a filter. */
export function channelFilter(channel: string | undefined): string | null {
  if (channel === undefined) return null;
  if (/^[a-z0-9_-]{1,64}$/.test(channel)) return channel;
  throw new Refusal('malformed', 'channel is a name of letters, digits, _ and -');
}

/** Absent members are left out, never null. */
export function present<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], null> } {
  const kept: { [K in keyof T]?: Exclude<T[K], null> } = {};
  for (const key in fields) {
    const value = fields[key];
    if (value !== null) kept[key] = value as Exclude<T[typeof key], null>;
  }
  return kept;
}

/** Who stopped something, as stored; null for nothing. */
export function stopOf(value: unknown): { actor: string; reason: string; at: string } | null {
  if (!isJsonObject(value)) return null;
  const { actor, reason, at } = value;
  if (typeof actor !== 'string' || typeof reason !== 'string' || typeof at !== 'string')
    return null;
  return { actor, reason, at };
}

/**
 * Answers 304 when nothing was committed since the caller's copy: one row is read instead of thousands. Whatever
 * of the answer goes by the clock, which goes on where nothing is committed, belongs in `besides`. True: answered.
 */
export async function isUnchanged(
  { pool }: ApiDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  besides?: number,
): Promise<boolean> {
  const leader = await pool.run(readLeader);
  if (leader === null) return false;
  const clocked = besides === undefined ? '' : `:${String(besides)}`;
  const tag = `"${leader.incarnation}:${String(leader.headSeq ?? 0)}${clocked}"`;
  void reply.header('etag', tag).header('cache-control', 'no-cache');
  if (!hasSameEtag(request, tag)) return false;
  void reply.code(304).send();
  return true;
}

/**
 * For answers that walk every host: made once, whoever asks the same, until something is committed. The last
 * one is kept, 3 MB for the states of 100,000 hosts. To be asked after `isUnchanged` has put the commit's tag
 * on the reply.
 */
export function oncePerCommit<T, Asked extends object>(
  make: (asked: Asked) => Promise<T>,
): (reply: FastifyReply, asked: Asked) => Promise<T> {
  let last: { readonly key: string; readonly answer: Promise<T> } | null = null;
  return (reply, asked) => {
    const tag = reply.getHeader('etag');
    if (typeof tag !== 'string') return make(asked);
    const key = `${tag} ${JSON.stringify(asked)}`;
    if (last?.key === key) return last.answer;
    const made = { key, answer: make(asked) };
    last = made;
    made.answer.catch(() => {
      if (last === made) last = null; // an error is no answer for the next one
    });
    return made.answer;
  };
}

/** How old an answer may be that goes by the clock. */
const CLOCK_MS = 2_000;

/** For `isUnchanged`, where sentences of the answer change with the time: the caller's copy is good for a moment. */
export function momentOf({ clock }: ApiDeps): number {
  return Math.floor(clock.now() / CLOCK_MS);
}

/** For what goes by the clock and walks many rows: asked once in a moment, however many ask. */
export function oncePerMoment<T>(deps: ApiDeps, make: () => Promise<T>): () => Promise<T> {
  let last: { readonly moment: number; readonly made: Promise<T> } | null = null;
  return () => {
    const moment = momentOf(deps);
    if (last?.moment === moment) return last.made;
    const asked = { moment, made: make() };
    last = asked;
    asked.made.catch(() => {
      if (last === asked) last = null; // an error is no answer for the next one
    });
    return asked.made;
  };
}
