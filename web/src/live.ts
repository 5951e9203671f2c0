/** Reads that stay true: read again when a row of the log says that something of them changed. */
import { createContext } from 'preact';
import { useContext, useEffect, useRef, useState } from 'preact/hooks';
import type { LogEvent } from '../../src/wire/log-event.ts';
import { ApiError, get } from './api.ts';
import type { StreamState } from './stream.ts';

export interface Live {
  readonly state: StreamState;
  /** Told of every row from now on; `null`: read everything again. Returns how to stop. */
  subscribe(listener: (event: LogEvent | null) => void): () => void;
}

export const LiveContext = createContext<Live>({
  state: 'connecting',
  subscribe: () => () => undefined,
});

export interface Read<T> {
  readonly data: T | null;
  readonly error: ApiError | null;
  reload(): void;
}

/** A rollout of thousands changes a thousand times a second; a person reads once in a while. */
const AT_MOST_EVERY_MS = 1_000;

export interface LiveReadOptions {
  /** Whether a row concerns it; default: every row does. */
  readonly concerns?: (event: LogEvent) => boolean;
  /** Read again this often whatever happens: for ages and what is not logged. */
  readonly everyMs?: number;
}

/** `key` names what is read: another one starts over. */
export function useLiveRead<T>(
  key: string,
  read: (signal: AbortSignal) => Promise<T>,
  { concerns = () => true, everyMs }: LiveReadOptions = {},
): Read<T> {
  const { subscribe } = useContext(LiveContext);
  const [state, setState] = useState<{ key: string; data: T | null; error: ApiError | null }>();
  const latest = useRef({ read, concerns });
  latest.current = { read, concerns };
  const reload = useRef<() => void>(() => undefined);
  useEffect(() => {
    const reader = repeatedly(
      (signal) => latest.current.read(signal),
      (data) => setState({ key, data, error: null }),
      (error) => setState((old) => ({ key, data: old?.key === key ? old.data : null, error })),
    );
    reload.current = reader.again;
    reader.again();
    const unsubscribe = subscribe((event) => {
      if (event === null || latest.current.concerns(event)) reader.again();
    });
    const timer = everyMs === undefined ? undefined : setInterval(reader.again, everyMs);
    return () => {
      clearInterval(timer);
      unsubscribe();
      reader.stop();
    };
  }, [key, subscribe, everyMs]);
  const current = state?.key === key ? state : undefined;
  return {
    data: current?.data ?? null,
    error: current?.error ?? null,
    reload: () => reload.current(),
  };
}

/** `useLiveRead` of one path. */
export function useLive<T>(path: string, options: LiveReadOptions = {}): Read<T> {
  return useLiveRead(path, (signal) => get<T>(path, signal), options);
}

/** One read at a time, one more when something happened meanwhile, and a pause in between. */
function repeatedly<T>(
  read: (signal: AbortSignal) => Promise<T>,
  onData: (data: T) => void,
  onError: (error: ApiError) => void,
): { again(): void; stop(): void } {
  const stop = new AbortController();
  let busy = false;
  let wanted = false;
  const run = async (): Promise<void> => {
    busy = true;
    while (wanted && !stop.signal.aborted) {
      wanted = false;
      await read(stop.signal).then(
        (data) => {
          if (!stop.signal.aborted) onData(data);
        },
        (error: unknown) => {
          if (stop.signal.aborted) return;
          onError(error instanceof ApiError ? error : new ApiError(0, 'unknown', String(error)));
          // What fails now is tried again by itself.
          setTimeout(() => again(), 2 * AT_MOST_EVERY_MS);
        },
      );
      await new Promise((resolve) => setTimeout(resolve, AT_MOST_EVERY_MS));
    }
    busy = false;
  };
  const again = (): void => {
    wanted = true;
    if (!busy && !stop.signal.aborted) void run();
  };
  return { again, stop: () => stop.abort() };
}
