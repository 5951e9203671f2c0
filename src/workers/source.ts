/**
 * Where signed artifacts come from: a directory, or an HTTP(S) base URL. Both answer bytes or "absent";
 * everything else is an error that the poll reports and retries. Nothing here is trusted.
 *
 * Over HTTP, unchanged files cost a 304: bytes are kept by ETag between polls.
 */
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { within } from './within.ts';

export interface Source {
  /** The directory or URL, for messages. */
  readonly where: string;
  /** The bytes of `name` (a relative path), or undefined when it is not there. */
  read(name: string, signal: AbortSignal): Promise<Uint8Array | undefined>;
}

/** A fleet of 100,000 hosts is about 25 MB pretty-printed; twice that, and more is somebody's mistake. */
const MAX_BYTES = 64 * 1024 * 1024;
/** Kept by ETag, in all: the artifacts of a 100,000-host fleet twice over, before and after a release. */
const KEPT_BYTES = 128 * 1024 * 1024;
/** One file must not stall the poll for longer than a poll interval. */
const FETCH_TIMEOUT_MS = 30_000;

export function openSource(location: string, token: string | null): Source {
  return /^https?:\/\//.test(location) ? httpSource(location, token) : directorySource(location);
}

function directorySource(directory: string): Source {
  return {
    where: directory,
    async read(name, signal) {
      const file = path.join(directory, name);
      try {
        const { size } = await stat(file);
        if (size > MAX_BYTES) throw tooLarge(name);
        return await readFile(file, { signal });
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
        throw error;
      }
    },
  };
}

function httpSource(base: string, token: string | null): Source {
  const kept = new Kept();
  const ask = async (name: string, signal: AbortSignal): Promise<Uint8Array | undefined> => {
    const known = kept.get(name);
    const response = await fetch(urlOf(base, name), {
      headers: {
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(known === undefined ? {} : { 'if-none-match': known.etag }),
      },
      redirect: 'error', // a token must not follow a redirect to somebody else
      signal,
    });
    if (response.status === 304 && known !== undefined) {
      kept.put(name, known);
      return known.bytes;
    }
    if (response.status === 404) {
      kept.drop(name);
      return undefined;
    }
    if (!response.ok) throw new Error(`${name}: the source answers ${String(response.status)}`);
    const bytes = await readBounded(response, name);
    const etag = response.headers.get('etag');
    if (etag === null) kept.drop(name);
    else kept.put(name, { etag, bytes });
    return bytes;
  };
  return {
    where: base,
    async read(name, signal) {
      const call = within(signal, FETCH_TIMEOUT_MS);
      return ask(name, call.signal)
        .catch((error: unknown) => {
          throw unreachable(base, name, error);
        })
        .finally(() => {
          call.end();
        });
    },
  };
}

interface Tagged {
  readonly etag: string;
  readonly bytes: Uint8Array;
}

/** What the source need not send again. Past rollouts are asked for no more and fall off the far end. */
class Kept {
  private readonly entries = new Map<string, Tagged>();
  private size = 0;

  get(name: string): Tagged | undefined {
    return this.entries.get(name);
  }

  drop(name: string): void {
    this.size -= this.entries.get(name)?.bytes.byteLength ?? 0;
    this.entries.delete(name);
  }

  /** As the latest. */
  put(name: string, tagged: Tagged): void {
    this.drop(name);
    this.entries.set(name, tagged);
    this.size += tagged.bytes.byteLength;
    for (const [oldest] of this.entries) {
      if (this.size <= KEPT_BYTES || oldest === name) return;
      this.drop(oldest);
    }
  }
}

/** A rollout id holds `@`, which a path may carry as it is. */
function urlOf(base: string, name: string): string {
  return `${base.replace(/\/+$/, '')}/${name}`;
}

async function readBounded(response: Response, name: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const reader: ReadableStreamDefaultReader<Uint8Array> | undefined = response.body?.getReader();
  let size = 0;
  for (;;) {
    const next = await reader?.read();
    if (next?.value === undefined) break;
    size += next.value.byteLength;
    if (size > MAX_BYTES) throw tooLarge(name);
    chunks.push(next.value);
  }
  return Buffer.concat(chunks);
}

/** `fetch failed` alone helps nobody: the reason is its cause's. */
function unreachable(base: string, name: string, error: unknown): Error {
  if (!(error instanceof TypeError))
    return error instanceof Error ? error : new Error(String(error));
  const cause = error.cause instanceof Error ? error.cause.message : error.message;
  return new Error(`${urlOf(base, name)} cannot be fetched (${cause}): check MUSTER_SOURCE`);
}

function tooLarge(name: string): Error {
  return new Error(
    `${name} is larger than ${String(MAX_BYTES)} bytes: split the fleet, or check the source`,
  );
}
