/**
 * The control plane over HTTP, for people and scripts. Every failure becomes a sentence that says what to do
 * and an exit code; answers are checked before anyone relies on their shape.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Static, TSchema } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { isLoopback } from '../../config.ts';
import type { ClientConfig } from '../../config/client.ts';
import { ProblemSchema } from '../../wire/problem.ts';
import { createServerClock, type ServerClock } from '../../wire/server-clock.ts';
import { isOfToken } from '../../wire/token.ts';
import { EXIT } from '../io.ts';
import { eventLines, SILENT_MS } from './event-lines.ts';
import { harmless } from './harmless.ts';
import { send, type ClientTls, type Sent } from './transport.ts';

/** Ends a command: what is wrong, what to do, and how to exit. */
export class OperateError extends Error {
  override readonly name = 'OperateError';
  readonly exitCode: number;
  /** Stable, for `--json`. */
  readonly code: string;

  constructor(message: string, exitCode: number, code: string) {
    super(message);
    this.exitCode = exitCode;
    this.code = code;
  }
}

export interface PostOptions {
  readonly key: string | null;
  readonly query?: Readonly<Record<string, string>>;
}

export interface Client {
  readonly url: string;
  /** The control plane's, as its answers tell it. */
  readonly clock: ServerClock;
  get<T extends TSchema>(schema: T, path: string, query?: Query): Promise<Static<T>>;
  /** A command; tried again under its key when the control plane is away for a moment. */
  post<T extends TSchema>(
    schema: T,
    path: string,
    body: object,
    options: PostOptions,
  ): Promise<Static<T>>;
  /** The lines of an event stream, until the signal. */
  lines(path: string, query: Query, signal: AbortSignal): AsyncGenerator<string>;
}

/** How a caller proves who they are; with both, the certificate counts. */
export interface Proof {
  readonly token: string | null;
  readonly tls: ClientTls;
}

export type Query = Readonly<Record<string, string | number | undefined>>;

/** A page of a large fleet takes a tenth of a second; a first explanation some seconds. */
const TIMEOUT_MS = 30_000;
/** A leader hands over, a database restarts: seconds. */
const ATTEMPTS = 4;
const LONGEST_PAUSE_MS = 5_000;

export interface ClientOptions {
  /** What is answered goes to a terminal, and is made harmless there. */
  readonly forPeople: boolean;
  /** Ends whatever is under way: the person has seen enough. */
  readonly signal: AbortSignal;
  readonly timeoutMs?: number;
  /** How long a stream may say nothing. */
  readonly silentMs?: number;
}

export function createClient(
  config: ClientConfig,
  { token, tls }: Proof,
  { forPeople, signal: stop, timeoutMs = TIMEOUT_MS, silentMs = SILENT_MS }: ClientOptions,
): Client {
  const limits = { url: config.url, timeoutMs, stop };
  const headers: Record<string, string> = { accept: 'application/json' };
  if (token !== null) headers['authorization'] = `Bearer ${token}`;
  // Believed by development servers on this machine only, and sent to no other.
  else if (tls.cert === undefined && isLocal(config.url))
    headers['x-muster-dev-identity'] = `operator:${config.user}`;
  const clean = async <T>(answer: Promise<T>): Promise<T> =>
    forPeople ? harmless(await answer) : answer;
  const clock = createServerClock(Date.now);
  const ask = (path: string, init: Partial<Sent> & Pick<Sent, 'signal'>): Promise<Response> => {
    const sent = { ...init, headers: { ...headers, ...init.headers } };
    return answered({ config, tls, clock }, path, sent);
  };
  return {
    url: config.url,
    clock,
    get: (schema, path, query = {}) =>
      within(limits, async (signal) =>
        clean(decode(schema, path, await ask(withQuery(path, query), { signal }))),
      ),
    async post(schema, path, body, { key, query = {} }) {
      const init = {
        method: 'POST',
        body: JSON.stringify(body),
        headers: {
          'content-type': 'application/json',
          ...(key === null ? {} : { 'idempotency-key': key }),
        },
      };
      return persistently(stop, () =>
        within(limits, async (signal) =>
          clean(decode(schema, path, await ask(withQuery(path, query), { ...init, signal }))),
        ),
      );
    },
    async *lines(path, query, signal) {
      const accept = { headers: { accept: 'text/event-stream' } };
      const open = (either: AbortSignal): Promise<Response> =>
        ask(withQuery(path, query), { ...accept, signal: either });
      try {
        yield* eventLines(open, signal, silentMs);
      } catch (error) {
        if (signal.aborted) return;
        throw error instanceof OperateError ? error : brokeOff(error);
      }
    },
  };
}

/**
 * Limits a whole exchange, body included. The timer keeps the process alive, which a signal's own would not: a
 * command whose answer never ends says so, instead of ending without a word.
 */
async function within<T>(
  { url, timeoutMs, stop }: Limits,
  exchange: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = new AbortController();
  let end = (): void => undefined;
  const late = new Promise<never>((_, reject) => {
    const giveUp = (error: OperateError): void => {
      reject(error);
      limit.abort();
    };
    const timer = setTimeout(() => {
      giveUp(unavailable(`${url} did not answer in time; try again, or look at /readyz`));
    }, timeoutMs);
    const onStop = (): void => {
      giveUp(new OperateError('interrupted', EXIT.interrupted, 'interrupted'));
    };
    if (stop.aborted) onStop();
    stop.addEventListener('abort', onStop);
    end = () => {
      clearTimeout(timer);
      stop.removeEventListener('abort', onStop);
    };
  });
  try {
    return await Promise.race([late, exchange(limit.signal)]);
  } finally {
    end();
  }
}

interface Limits {
  readonly url: string;
  readonly timeoutMs: number;
  readonly stop: AbortSignal;
}

/** Until then, or until the signal. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined);
}

function isLocal(url: string): boolean {
  return isLoopback(new URL(url).hostname.replace(/^\[|\]$/g, ''));
}

function withQuery(path: string, query: Query): string {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) given.set(name, String(value));
  }
  return given.size === 0 ? path : `${path}?${given.toString()}`;
}

interface Line {
  readonly config: ClientConfig;
  readonly tls: ClientTls;
  readonly clock: ServerClock;
}

async function answered({ config, tls, clock }: Line, path: string, sent: Sent): Promise<Response> {
  let response: Response;
  try {
    response = await send(`${config.url}${path}`, sent, tls);
  } catch (error) {
    if (sent.signal.aborted) throw error;
    const cause = causeOf(error);
    throw unavailable(`cannot reach ${config.url} (${cause}; from ${config.from}): ${hint(cause)}`);
  }
  clock.heard(response.headers.get('date'));
  if (response.ok) return response;
  throw await refusal(response, path);
}

/** OpenSSL's names for what is wrong with a certificate. */
const UNTRUSTED = /CERT|SIGNATURE|ISSUER/;

function hint(cause: string): string {
  return UNTRUSTED.test(cause)
    ? 'its certificate is not trusted here; set caFile in the profile to its authority (docs/cli.md)'
    : 'is it running, and is the address right? Give --url, MUSTER_URL or --profile';
}

function unavailable(message: string): OperateError {
  return new OperateError(message, EXIT.unavailable, 'unavailable');
}

function brokeOff(error: unknown): OperateError {
  return unavailable(`the stream broke off (${causeOf(error)})`);
}

function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'no answer';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
}

/** What a status other than 2xx means to the caller of a command. */
function exitOf(status: number): number {
  if (status === 401 || status === 403) return EXIT.denied;
  if (status === 400 || status === 413 || status === 415) return EXIT.usage;
  if (status === 429 || status >= 500) return EXIT.unavailable;
  return EXIT.no;
}

/** What a caller who is nobody does next; `proof`: the one that did not hold. */
function proving(proof = 'token'): string {
  return isOfToken(proof)
    ? 'Give --token, MUSTER_TOKEN or a profile with one'
    : "It is the profile's certFile, which counts before any token";
}

async function refusal(response: Response, path: string): Promise<OperateError> {
  const body: unknown = await response.json().catch(() => null);
  const { status } = response;
  if (!Value.Check(ProblemSchema, body)) {
    const message = `${path} answered ${String(status)} without saying why: is this a Muster, or something in front of one?`;
    return new OperateError(message, exitOf(status), 'no-problem');
  }
  const todo = status === 401 ? `. ${proving(body.proof)}` : '';
  const error = new OperateError(`${body.detail}${todo}`, exitOf(status), body.code);
  const after = Number(response.headers.get('retry-after'));
  return Object.assign(error, { retryMs: status === 503 && after > 0 ? after * 1_000 : null });
}

/** What the next try would find as it is. */
const LASTING: ReadonlySet<string> = new Set(['internal', 'other-version']);

/** Sends again while the control plane is away: the key makes that safe. */
async function persistently<T>(stop: AbortSignal, send: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await send();
    } catch (error) {
      const away = error instanceof OperateError && error.exitCode === EXIT.unavailable;
      if (!away || attempt === ATTEMPTS || LASTING.has(error.code)) throw error;
      const asked = 'retryMs' in error && typeof error.retryMs === 'number' ? error.retryMs : 500;
      await pause(Math.min(asked, LONGEST_PAUSE_MS), stop);
    }
  }
}

async function decode<T extends TSchema>(
  schema: T,
  path: string,
  response: Response,
): Promise<Static<T>> {
  const body: unknown = await response.json().catch(() => null);
  if (Value.Check(schema, body)) return body;
  const message = `the answer of ${path} is not of this version; use the \`muster\` of the control plane's version`;
  throw new OperateError(message, EXIT.unavailable, 'other-version');
}
