/** The lines of a file, gzipped or plain, one after the other: unzipped as a whole it may not fit into a string. */
import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';

/** What every gzip stream begins with. */
const GZIP = [0x1f, 0x8b];
/** Of a plain file, at a time. */
const CHUNK = 65_536;

export async function* linesOf(path: string): AsyncGenerator<string> {
  const bytes = await readFile(path);
  const isZipped = GZIP.every((byte, i) => bytes[i] === byte);
  const chunks = Readable.from(chunksOf(bytes));
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of isZipped ? chunks.pipe(createGunzip()) : chunks) {
    const lines = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
  yield rest + decoder.decode();
}

function* chunksOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let i = 0; i < bytes.length; i += CHUNK) yield bytes.subarray(i, i + CHUNK);
}
