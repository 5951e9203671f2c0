/**
 * Journals on disk: one append-only file of JSON lines, for one host or for many of one process. Lines that
 * arrive while a write is under way go together in the next, with one fdatasync for all (a thousand
 * simulated hosts must not mean a thousand syncs).
 *
 * A torn last line is a write that nobody was told of: it is dropped. Any other line that cannot be read is
 * an error, because silently forgetting events is worse than not starting. So nothing is written behind torn
 * text: a write that fails is cut off again, and until that succeeds no other is tried.
 *
 * The file is rewritten without what no longer matters, whole or not at all (a sibling, then a rename),
 * when it is opened and whenever it has doubled.
 */
import { mkdir, open, rename, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { HealthPolicy } from '../reducer/host/events.ts';
import { decodeHostEvent } from '../wire/event.ts';
import { isJsonObject } from '../wire/text.ts';
import { readObject, readSnapshot, textOf } from './answers.ts';
import { readIfThere } from './files.ts';
import { retained, type JournalLine, type JournalStore } from './journal.ts';

/** A rollout is some 12 lines of 200 bytes, so one host rewrites its file every hundred rollouts. */
const REWRITE_ABOVE_BYTES = 256 * 1024;

interface Waiting {
  readonly text: string;
  readonly durable: boolean;
  readonly written: (error: Error | null) => void;
}

export class JournalFile {
  private readonly path: string;
  private readonly lines: Map<string, JournalLine[]>;
  private file: FileHandle;
  private size: number;
  private rewriteAt = REWRITE_ABOVE_BYTES;
  /** The file may go on beyond `size`: what a failed write left of itself. */
  private isTorn = false;
  private queue: Waiting[] = [];
  private flushing: Promise<void> | null = null;

  private constructor(path: string, lines: Map<string, JournalLine[]>, file: FileHandle) {
    this.path = path;
    this.lines = lines;
    this.file = file;
    this.size = 0;
  }

  static async open(path: string): Promise<JournalFile> {
    await mkdir(dirname(path), { recursive: true });
    const lines = parse((await readIfThere(path)) ?? '', path);
    const journal = new JournalFile(path, lines, await open(path, 'a'));
    try {
      await journal.rewrite();
    } catch (error) {
      await journal.file.close();
      throw error;
    }
    return journal;
  }

  /** The journal of one host in this file. */
  storeOf(hostname: string): JournalStore {
    return {
      load: () => Promise.resolve([...(this.lines.get(hostname) ?? [])]),
      append: (line, durable) => this.append(hostname, line, durable),
    };
  }

  /** Writes what is queued and lets go of the file. */
  async close(): Promise<void> {
    await this.flushing;
    await this.file.close();
  }

  private append(hostname: string, line: JournalLine, durable: boolean): Promise<void> {
    const kept = this.lines.get(hostname) ?? [];
    this.lines.set(hostname, kept);
    const text = textOfLine(hostname, line);
    return new Promise((resolve, reject) => {
      const written = (error: Error | null): void => {
        if (error !== null) return reject(error);
        kept.push(line);
        resolve();
      };
      this.queue.push({ text, durable, written });
      if (this.flushing !== null) return;
      this.flushing = this.flush();
    });
  }

  private async flush(): Promise<void> {
    while (this.queue.length > 0) {
      const batch = this.queue;
      this.queue = [];
      const error = await this.write(batch);
      for (const { written } of batch) written(error);
    }
    // In the same breath: who hears of the last write may append at once, and must find either us or nobody.
    this.flushing = null;
  }

  private async write(batch: readonly Waiting[]): Promise<Error | null> {
    try {
      await this.cutTorn();
      if (this.size > this.rewriteAt) await this.rewrite();
      const text = batch.map((waiting) => waiting.text).join('');
      this.isTorn = true;
      await this.file.appendFile(text);
      if (batch.some((waiting) => waiting.durable)) await this.file.datasync();
      this.size += Buffer.byteLength(text);
      this.isTorn = false;
      return null;
    } catch (cause) {
      // At once, for there may be no next write; what cannot be cut now is by the next, before it writes.
      await this.cutTorn().catch(() => undefined);
      return new Error(`cannot write the journal ${this.path}: is the disk full?`, { cause });
    }
  }

  /** Whole lines of a failed write, too: their makers were told that they are not there. */
  private async cutTorn(): Promise<void> {
    if (!this.isTorn) return;
    await this.file.truncate(this.size);
    this.isTorn = false;
  }

  private async rewrite(): Promise<void> {
    const texts: string[] = [];
    for (const [hostname, lines] of this.lines) {
      const kept = [...retained(lines)];
      // In place: writes that are under way hold this very list.
      lines.splice(0, lines.length, ...kept);
      for (const line of kept) texts.push(textOfLine(hostname, line));
    }
    const text = texts.join('');
    const former = this.file;
    this.file = await this.replacedBy(text);
    this.size = Buffer.byteLength(text);
    this.rewriteAt = Math.max(REWRITE_ABOVE_BYTES, 2 * this.size);
    await former.close();
  }

  /** The file that took the old one's place; the old one stays, and in use, if that fails. */
  private async replacedBy(text: string): Promise<FileHandle> {
    const next = await open(`${this.path}.new`, 'a');
    try {
      // Left behind by a rewrite that failed.
      await next.truncate();
      await next.appendFile(text);
      await next.datasync();
      await rename(`${this.path}.new`, this.path);
      return next;
    } catch (error) {
      await next.close();
      throw error;
    }
  }
}

function textOfLine(hostname: string, line: JournalLine): string {
  return `${JSON.stringify({ host: hostname, ...line })}\n`;
}

function parse(text: string, path: string): Map<string, JournalLine[]> {
  const lines = new Map<string, JournalLine[]>();
  const texts = text.split('\n');
  texts.pop(); // empty after a whole line; else the torn one
  for (const [index, written] of texts.entries()) {
    const read = readLine(written);
    if (read === null) throw new Error(`${path}:${index + 1} is no line of an agent's journal`);
    const of = lines.get(read.hostname) ?? [];
    of.push(read.line);
    lines.set(read.hostname, of);
  }
  return lines;
}

function readLine(text: string): { readonly hostname: string; readonly line: JournalLine } | null {
  const body = readObject(text);
  const hostname = textOf(body?.['host']);
  if (body === null || hostname === null) return null;
  const line = lineOf(body);
  return line === null ? null : { hostname, line };
}

function lineOf(body: Readonly<Record<string, unknown>>): JournalLine | null {
  const rolloutId = textOf(body['rolloutId']);
  const { wave, seq } = body;
  switch (body['t']) {
    case 'open': {
      const snapshot = isJsonObject(body['snapshot']) ? readSnapshot(body['snapshot']) : null;
      const policy = policyOf(body['policy']);
      if (snapshot === null || policy === null || typeof wave !== 'number') return null;
      return { t: 'open', snapshot, wave, policy };
    }
    case 'event': {
      const decoded = decodeHostEvent(body['event']);
      return rolloutId === null || !decoded.ok
        ? null
        : { t: 'event', rolloutId, event: decoded.event };
    }
    case 'settled': {
      const outcome = textOf(body['outcome']);
      if (rolloutId === null || outcome === null || typeof seq !== 'number') return null;
      return { t: 'settled', rolloutId, seq, outcome };
    }
    default:
      return null;
  }
}

function policyOf(value: unknown): HealthPolicy | null {
  return value === 'halt' || value === 'rollback-and-halt' ? value : null;
}
