/**
 * Journals on disk: one append-only file of JSON lines, for one host or for many of one process. Lines that
 * arrive while a write is under way go together in the next, with one fdatasync for all (a thousand
 * simulated hosts must not mean a thousand syncs).
 *
 * A torn last line is a write that nobody was told of: it is dropped. Any other line that cannot be read is
 * an error, because silently forgetting events is worse than not starting. So nothing is written behind torn
 * text: a write that fails is cut off again, and until that succeeds no other is tried.
 *
 * The file is rewritten without what no longer matters, whole or not at all (a sibling, then a rename, then the
 * folder, without whose sync a power cut may bring the old file back), when it is opened and whenever it has doubled.
 */
import { open, rename, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeFolder, readIfThere, syncFolder } from './files.ts';
import { linesOf, textOfLine } from './journal-text.ts';
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
  /** The folder on disk may name another file than this one: no line counts before it does. */
  private isMoved = false;
  private queue: Waiting[] = [];
  private flushing: Promise<void> | null = null;

  private constructor(path: string, lines: Map<string, JournalLine[]>, file: FileHandle) {
    this.path = path;
    this.lines = lines;
    this.file = file;
    this.size = 0;
  }

  static async open(path: string): Promise<JournalFile> {
    await makeFolder(dirname(path));
    const lines = linesOf((await readIfThere(path)) ?? '', path);
    const journal = new JournalFile(path, lines, await open(path, 'a'));
    try {
      await journal.rewrite();
      await journal.settleMove();
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
      await this.settleMove();
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
    this.isMoved = true;
    this.size = Buffer.byteLength(text);
    this.rewriteAt = Math.max(REWRITE_ABOVE_BYTES, 2 * this.size);
    await former.close();
  }

  private async settleMove(): Promise<void> {
    if (!this.isMoved) return;
    await syncFolder(dirname(this.path));
    this.isMoved = false;
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
