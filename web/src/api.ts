/** The operator API: reads, commands, and its errors as sentences a person can act on. */
import type { CommandAnswer } from '../../src/wire/command.ts';
import { createServerClock } from '../../src/wire/server-clock.ts';
import { credentialHeaders } from './session.ts';

/** What ages on the page are told by. */
export const clock = createServerClock(Date.now);

/** What went wrong, as the server said it. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  /** Which proof of who asks did not hold, where one was given. */
  readonly proof: string | null;

  constructor(status: number, code: string, detail: string, proof: string | null = null) {
    super(detail);
    this.status = status;
    this.code = code;
    this.proof = proof;
  }
}

/** Longer than a command waits for its verdict (2 s) by far; shorter than a person's patience. */
const TIMEOUT_MS = 20_000;

function timeLimit(signal?: AbortSignal): AbortSignal {
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  return signal === undefined ? limit : AbortSignal.any([signal, limit]);
}

export async function failure(answer: Response): Promise<ApiError> {
  const body: unknown = await answer.json().catch(() => null);
  const { code, detail, proof } = (body ?? {}) as Readonly<Record<string, unknown>>;
  return new ApiError(
    answer.status,
    typeof code === 'string' ? code : 'unknown',
    typeof detail === 'string' ? detail : `the server answered ${answer.status}`,
    typeof proof === 'string' ? proof : null,
  );
}

async function call(path: string, init: RequestInit): Promise<Response> {
  const answer = await fetch(path, init).catch((error: unknown) => {
    if (init.signal?.aborted === true && (error as Error).name === 'AbortError') throw error;
    throw new ApiError(
      0,
      'unreachable',
      'the server does not answer; trying again helps, most likely',
    );
  });
  clock.heard(answer.headers.get('date'));
  if (answer.ok) return answer;
  throw await failure(answer);
}

/** `no-cache`: the browser sends the ETag along, and an unchanged answer costs no body. */
export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  const answer = await call(path, {
    headers: credentialHeaders(),
    cache: 'no-cache',
    signal: timeLimit(signal),
  });
  return (await answer.json()) as T;
}

export interface Command {
  /** Such as `/v1/hosts/web-01/hold`. */
  readonly path: string;
  readonly reason: string;
  readonly expectedSeq?: number;
}

/** Made once for each intention, so that a repeat after a lost answer is not carried out twice. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export async function post(command: Command, key: string | 'dryRun'): Promise<CommandAnswer> {
  const { path, reason, expectedSeq } = command;
  const dry = key === 'dryRun';
  const answer = await call(dry ? `${path}?dryRun=true` : path, {
    method: 'POST',
    headers: {
      ...credentialHeaders(),
      'content-type': 'application/json',
      ...(dry ? {} : { 'idempotency-key': key }),
    },
    body: JSON.stringify({ reason, ...(expectedSeq === undefined ? {} : { expectedSeq }) }),
    signal: timeLimit(),
  });
  return (await answer.json()) as CommandAnswer;
}

/** A path with its parameters encoded: `` path`/v1/hosts/${name}` ``. */
export function path(parts: TemplateStringsArray, ...values: readonly string[]): string {
  return parts.reduce((text, part, i) => text + encodeURIComponent(values[i - 1] ?? '') + part);
}
