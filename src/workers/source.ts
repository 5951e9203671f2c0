/**
 * Where signed artifacts come from: a directory, or an HTTP(S) base URL. Both answer bytes or "absent";
 * everything else is an error that the poll reports and retries. Nothing here is trusted.
 *
 * Over HTTP, unchanged files cost a 304: bytes are kept by ETag between polls.
 */
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';

export interface Source {
  /** The directory or URL, for messages. */
  readonly where: string;
  /** The bytes of `name` (a relative path), or undefined when it is not there. */
  read(name: string, signal: AbortSignal): Promise<Uint8Array | undefined>;
}

/** A fleet of 100,000 hosts is about 25 MB pretty-printed; twice that, and more is somebody's mistake. */
const MAX_BYTES = 64 * 1024 * 1024;
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
  const kept = new Map<string, { etag: string; bytes: Uint8Array }>();
  return {
    where: base,
    async read(name, signal) {
      const known = kept.get(name);
      const response = await fetch(urlOf(base, name), {
        headers: {
          ...(token === null ? {} : { authorization: `Bearer ${token}` }),
          ...(known === undefined ? {} : { 'if-none-match': known.etag }),
        },
        redirect: 'error', // a token must not follow a redirect to somebody else
        signal: AbortSignal.any([signal, AbortSignal.timeout(FETCH_TIMEOUT_MS)]),
      });
      if (response.status === 304 && known !== undefined) return known.bytes;
      if (response.status === 404) {
        kept.delete(name);
        return undefined;
      }
      if (!response.ok) throw new Error(`${name}: the source answers ${String(response.status)}`);
      const bytes = await readBounded(response, name);
      const etag = response.headers.get('etag');
      if (etag === null) kept.delete(name);
      else kept.set(name, { etag, bytes });
      return bytes;
    },
  };
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

function tooLarge(name: string): Error {
  return new Error(
    `${name} is larger than ${String(MAX_BYTES)} bytes: split the fleet, or check the source`,
  );
}
