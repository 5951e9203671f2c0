/**
 * Log rows in files: compressed JSON lines, one row each with its payload as text and its hash, so that the
 * chain can be checked and the rows folded without any database. A file is written under another name and
 * moved when it is whole and on disk; what exists is complete, even after a power cut.
 */
import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { LOG_KINDS } from '../wire/log-event.ts';
import { isJsonObject } from '../wire/text.ts';
import type { StoredRow } from './stored.ts';

/** Rows of a page when a file is read. */
const PAGE_ROWS = 5_000;

/** Writes pages of rows to a file; returns how many. */
export async function writeArchive(
  file: string,
  pages: AsyncIterable<readonly StoredRow[]>,
): Promise<number> {
  let rows = 0;
  const lines = async function* (): AsyncGenerator<string> {
    for await (const page of pages) {
      rows += page.length;
      yield page
        .map((row) => `${JSON.stringify({ ...row, hash: row.hash.toString('hex') })}\n`)
        .join('');
    }
  };
  const partial = `${file}.partial`;
  const output = createWriteStream(partial, { flush: true });
  await pipeline(Readable.from(lines()), createGzip(), output);
  await rename(partial, file);
  const folder = await open(path.dirname(file));
  await folder.sync().finally(() => folder.close());
  return rows;
}

/** The rows of a file, in pages; throws on what is no whole archive, naming the line. */
export async function* readArchive(file: string): AsyncGenerator<StoredRow[]> {
  let page: StoredRow[] = [];
  let line = 0;
  try {
    for await (const text of linesOf(file)) {
      line += 1;
      page.push(parseRow(text));
      if (page.length < PAGE_ROWS) continue;
      yield page;
      page = [];
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `${file} cannot be read on at line ${line}: ${reason}; take a whole copy of the export`,
      { cause: error },
    );
  }
  yield page;
}

/** The hash of the last row of a file; null when there is no such file. */
export async function lastHashOf(file: string): Promise<Buffer | null> {
  if (!existsSync(file)) return null;
  let last: StoredRow | undefined;
  for await (const page of readArchive(file)) last = page.at(-1) ?? last;
  return last?.hash ?? null;
}

function linesOf(file: string): AsyncIterable<string> {
  const bytes = createReadStream(file);
  const input = bytes.pipe(createGunzip());
  // A pipe does not hand errors on.
  bytes.once('error', (error) => input.destroy(error));
  return createInterface({ input, crlfDelay: Infinity });
}

function parseRow(text: string): StoredRow {
  const value: unknown = JSON.parse(text);
  if (!isJsonObject(value)) throw new Error('it is no row of a log');
  const required = <T>(name: string, read: (of: unknown) => T | null): T => {
    const found = read(value[name]);
    if (found === null)
      throw new Error(`it is no row of a log: its ${name} is missing or unusable`);
    return found;
  };
  const kind = LOG_KINDS.find((name) => name === value['kind']);
  if (kind === undefined)
    throw new Error('it is no row of a log, or of a kind that this Muster is too old for');
  return {
    kind,
    seq: required('seq', asWhole),
    ts: required('ts', asTime),
    epoch: required('epoch', asWhole),
    hostname: asText(value['hostname']),
    rolloutId: asText(value['rolloutId']),
    channel: asText(value['channel']),
    actor: asText(value['actor']),
    causedBy: asWhole(value['causedBy']),
    payload: required('payload', asText),
    hash: Buffer.from(required('hash', asText), 'hex'),
  };
}

function asText(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function asTime(value: unknown): string | null {
  return typeof value === 'string' && !Number.isNaN(Date.parse(value)) ? value : null;
}

function asWhole(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : null;
}
