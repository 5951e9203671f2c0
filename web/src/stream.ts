/**
 * The event log as it grows. EventSource cannot send a credential, so the stream is read with fetch. It goes
 * on after the last id it saw, on whichever replica answers: nothing is skipped when one dies.
 */
import type { LogEvent } from '../../src/wire/log-event.ts';
import { ApiError, failure } from './api.ts';
import { credentialHeaders } from './session.ts';

export type StreamState = 'connecting' | 'live' | 'away';

export interface StreamListener {
  /** A row of the log. */
  onEvent(event: LogEvent): void;
  /** What was read may differ from what is there: read it again. */
  onReset(): void;
  onState(state: StreamState): void;
  /** The credential is not accepted. */
  onRefused(error: ApiError): void;
}

/** The server says something every 15 s; silence for twice as long is a connection that is no more. */
const SILENT_MS = 35_000;
const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 5_000;

export function followLog(listener: StreamListener): () => void {
  const stop = new AbortController();
  void follow(listener, stop.signal);
  return () => stop.abort();
}

async function follow(listener: StreamListener, signal: AbortSignal): Promise<void> {
  let last: string | null = null;
  let failures = 0;
  while (!signal.aborted) {
    listener.onState(failures === 0 ? 'connecting' : 'away');
    try {
      const answer = await open(last, signal);
      // Without an id the stream begins now: what was read before may be older.
      if (last === null) listener.onReset();
      listener.onState('live');
      failures = 0;
      for await (const { id, event, data } of messages(answer)) {
        if (id !== null) last = id;
        if (event === 'log') listener.onEvent(JSON.parse(data) as LogEvent);
        else if (event !== null) listener.onReset();
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && (error.status === 401 || error.status === 403)) {
        listener.onRefused(error);
        return;
      }
      if (error instanceof ApiError && error.status === 409) last = null;
    }
    failures += 1;
    await pause(Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** (failures - 1)), signal);
  }
}

async function open(last: string | null, signal: AbortSignal): Promise<Response> {
  const answer = await fetch('/v1/events/stream', {
    headers: { ...credentialHeaders(), ...(last === null ? {} : { 'last-event-id': last }) },
    cache: 'no-store',
    signal,
  });
  if (!answer.ok) throw await failure(answer);
  return answer;
}

interface Message {
  readonly id: string | null;
  readonly event: string | null;
  readonly data: string;
}

async function* messages(answer: Response): AsyncGenerator<Message> {
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (reader === undefined) return;
  let text = '';
  for (;;) {
    const chunk = await readWithin(reader);
    if (chunk === null) return;
    const parts = (text + chunk).split('\n\n');
    text = parts.pop() ?? '';
    for (const part of parts) yield parse(part);
  }
}

/** Null at the end, or after a silence that means one. */
async function readWithin(reader: ReadableStreamDefaultReader<string>): Promise<string | null> {
  const timer = setTimeout(() => void reader.cancel().catch(() => undefined), SILENT_MS);
  try {
    const { done, value } = await reader.read();
    return done ? null : value;
  } finally {
    clearTimeout(timer);
  }
}

function parse(part: string): Message {
  let [id, event]: (string | null)[] = [null, null];
  const data: string[] = [];
  for (const line of part.split('\n')) {
    const [, field, value = ''] = /^(\w+): ?(.*)$/.exec(line) ?? [];
    if (field === 'id') id = value;
    else if (field === 'event') event = value;
    else if (field === 'data') data.push(value);
  }
  return { id: id ?? null, event: event ?? null, data: data.join('\n') };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
