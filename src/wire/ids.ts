/**
 * The identifiers that cross the wire, checked once at the edge: nothing else may reach SQL, a path or a
 * log line. Brands exist where two strings or two numbers could be mixed up without anyone noticing.
 */
import { Type } from '@sinclair/typebox';

declare const brand: unique symbol;
type Branded<T, Name extends string> = T & { readonly [brand]: Name };

/** `{channel}@{channelRef}`, matched by ROLLOUT_ID_PATTERN. */
export type RolloutId = Branded<string, 'RolloutId'>;
/** 1 … 253 characters of a host name. */
export type Hostname = Branded<string, 'Hostname'>;
/** An agent's own event counter or a log position, 1 … 2^53−1. */
export type Seq = Branded<number, 'Seq'>;

export const ROLLOUT_ID_PATTERN = '^[a-z0-9_-]{1,64}@[0-9a-f]{1,64}$';
const ROLLOUT_ID = new RegExp(ROLLOUT_ID_PATTERN);
/** What people give of a ref. */
export const REF_START = /^[0-9a-f]{1,64}$/;
/** 64 of a channel, the @, 64 of a ref. */
const MAX_ROLLOUT_ID = 129;
/** The longest name that DNS can carry. */
export const MAX_HOSTNAME = 253;
/** What DNS and certificates carry, underscores tolerated; no spaces, slashes, quotes or control characters. */
export const HOSTNAME_PATTERN = '^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$';
const HOSTNAME = new RegExp(HOSTNAME_PATTERN);

/** What a person or a pipeline is called; shown in the log as the actor. In words: `OPERATOR_NAME_TEXT`. */
export const OPERATOR_NAME_PATTERN = '^[A-Za-z0-9_.@+-]{1,128}$';
export const OPERATOR_NAME_TEXT = '1 to 128 letters, digits or any of _ . @ + -';
export const OPERATOR_NAME = new RegExp(OPERATOR_NAME_PATTERN);

export const RolloutIdSchema = Type.String({
  pattern: ROLLOUT_ID_PATTERN,
  description: 'Rollout id, `{channel}@{channelRef}`.',
});

export const HostnameSchema = Type.String({
  minLength: 1,
  maxLength: MAX_HOSTNAME,
  pattern: HOSTNAME_PATTERN,
  description: 'Host name, as in the certificate less the configured suffix.',
});

export const SeqSchema = Type.Integer({
  minimum: 1,
  maximum: Number.MAX_SAFE_INTEGER,
  description: "The agent's own counter for this rollout, 1 … 2^53−1.",
});

export function isRolloutId(value: unknown): value is RolloutId {
  return typeof value === 'string' && value.length <= MAX_ROLLOUT_ID && ROLLOUT_ID.test(value);
}

export function isHostname(value: unknown): value is Hostname {
  return typeof value === 'string' && value.length <= MAX_HOSTNAME && HOSTNAME.test(value);
}

export function isSeq(value: unknown): value is Seq {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 1;
}
