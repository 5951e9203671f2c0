/**
 * Every error this control plane answers with: a stable code, its status, and a title. One list, so that a
 * code means one thing everywhere; the body is RFC 9457 `application/problem+json`, and its detail is a
 * sentence to act on, never a stack trace or SQL.
 */
import { Type, type Static } from '@sinclair/typebox';

export const PROBLEMS = {
  malformed: [400, 'The request cannot be read'],
  'unknown-kind': [400, 'The event is of an unknown kind'],
  'bad-cursor': [400, 'The cursor is not one of ours'],
  'bad-csr': [400, 'The certificate request is refused'],
  'idempotency-key-missing': [400, 'A command needs an Idempotency-Key'],
  unauthenticated: [401, 'The caller has no identity here'],
  'bad-token': [401, 'The bootstrap token is refused'],
  'token-expired': [401, 'The bootstrap token has expired'],
  'fingerprint-mismatch': [403, 'The token is for another key'],
  'nonce-unknown': [403, 'The nonce lets this host not in'],
  revoked: [403, 'The host is revoked'],
  'wrong-host': [403, 'An agent speaks for its own host only'],
  'wrong-identity': [403, 'This endpoint is not for such callers'],
  'needs-operator': [403, 'This needs the role operator'],
  'needs-admin': [403, 'This needs the role admin'],
  'outside-scope': [403, 'This is outside the channels of the caller'],
  'not-found': [404, 'There is no such thing'],
  'no-route': [404, 'There is no such endpoint'],
  'seq-regression': [409, 'The event comes after a later one'],
  'illegal-transition': [409, 'The host is not in a state that allows this event'],
  'invariant-violated': [409, 'The event contradicts what is known'],
  'unknown-rollout-host': [409, 'This host has no part in that rollout'],
  'stale-cursor': [409, 'The database was restored since this cursor was given'],
  'stale-expectation': [409, 'The subject changed since it was seen'],
  'illegal-command': [409, 'The command does not apply now'],
  'nonce-used': [409, 'The nonce was used for another request'],
  'key-reused': [409, 'A new certificate needs a new key'],
  'too-slow': [408, 'The request took too long'],
  'too-large': [413, 'The body is too large'],
  'unsupported-media-type': [415, 'The body is of an unsupported type'],
  'idempotency-key-reused': [422, 'This Idempotency-Key was used for another request'],
  'unsupported-protocol': [426, 'Another protocol version is spoken here'],
  'too-many-requests': [429, 'Asked too often'],
  'headers-too-large': [431, 'The headers are too large'],
  internal: [500, 'The control plane failed'],
  'not-configured': [501, 'This is not configured here'],
  'not-accepted': [503, 'Not accepted now'],
  'database-away': [503, 'The database does not answer'],
  'not-ready': [503, 'Not ready yet'],
} as const satisfies Readonly<Record<string, readonly [status: number, title: string]>>;

export type ProblemCode = keyof typeof PROBLEMS;

export const PROBLEM_TYPE = 'application/problem+json';

export const ProblemSchema = Type.Object(
  {
    type: Type.Literal('about:blank'),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String({ description: 'Stable; decide by this.' }),
    detail: Type.String({ description: 'What is wrong and what to do.' }),
    state: Type.Optional(
      Type.Union([Type.String(), Type.Null()], {
        description:
          'On 409 of an event: the state of the host in the rollout; null when it has none.',
      }),
    ),
    lastEventSeq: Type.Optional(
      Type.Union([Type.Integer(), Type.Null()], {
        description: 'On 409 of an event: the highest seq applied; null when there is no record.',
      }),
    ),
    seqs: Type.Optional(
      Type.Array(Type.Integer(), {
        description: 'Of a refused command: the log rows that say so.',
      }),
    ),
    proof: Type.Optional(
      Type.String({
        description:
          'Of a caller who proved nothing: which proof did not hold, such as `token`, `certificate` or `expired` (a certificate); absent where there was none.',
      }),
    ),
  },
  { description: 'RFC 9457 problem details.' },
);

export type Problem = Static<typeof ProblemSchema>;
/** What a problem says beside its sentence. */
export type ProblemFacts = Pick<Problem, 'state' | 'lastEventSeq' | 'seqs' | 'proof'>;

export function problem(code: ProblemCode, detail: string, facts: ProblemFacts = {}): Problem {
  const [status, title] = PROBLEMS[code];
  return { type: 'about:blank', title, status, code, detail, ...facts };
}

/** A code of the catalogue, for those that come as text; `internal` for any other. */
export function problemCode(code: string): ProblemCode {
  return isProblemCode(code) ? code : 'internal';
}

export function isProblemCode(code: string): code is ProblemCode {
  return Object.hasOwn(PROBLEMS, code);
}
