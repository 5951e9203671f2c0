/**
 * The lines of an event stream, with an end to silence: a replica that froze, or a cable that was cut, closes nothing,
 * and whoever followed it would wait for ever and be told nothing.
 */

/** The server says something every 15 s; silence for twice as long is a connection that is no more. */
export const SILENT_MS = 35_000;

type Reader = ReadableStreamDefaultReader<Uint8Array>;

/** `open` is told by the signal when it is over: by the caller's own, by silence, or because nobody reads on. */
export async function* eventLines(
  open: (signal: AbortSignal) => Promise<Response>,
  signal: AbortSignal,
  silentMs: number,
): AsyncGenerator<string> {
  const limit = new AbortController();
  const either = AbortSignal.any([signal, limit.signal]);
  const decoder = new TextDecoder();
  let rest = '';
  try {
    const { body } = await within(open(either), limit, silentMs);
    if (body === null) return;
    const reader: Reader = body.getReader();
    for (;;) {
      const { done, value } = await within(reader.read(), limit, silentMs);
      if (done) return;
      const lines = (rest + decoder.decode(value, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      yield* lines;
    }
  } finally {
    limit.abort();
  }
}

/** Only what the server is waited for counts: a reader of lines may take its time. */
async function within<T>(what: Promise<T>, limit: AbortController, silentMs: number): Promise<T> {
  const timer = setTimeout(() => {
    limit.abort();
  }, silentMs);
  try {
    return await what;
  } catch (error) {
    throw limit.signal.aborted
      ? new Error(`nothing was heard for ${String(Math.round(silentMs / 1_000))} s`)
      : error;
  } finally {
    clearTimeout(timer);
  }
}
