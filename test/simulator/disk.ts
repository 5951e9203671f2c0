/**
 * A host's journal as bytes, in the product's own format: what a crash leaves of it is read again as the product
 * reads it. Lines that were not synced do not survive a power cut; half a line survives nothing.
 */
import { linesOf, textOfLine } from '../../src/agent/journal-text.ts';
import { retained, type JournalLine } from '../../src/agent/journal.ts';
import type { Snapshot } from '../../src/agent/control-plane.ts';

export class Disk {
  /** What the last rollout began with. */
  opened: Snapshot | null = null;
  private readonly hostname: string;
  private texts: string[] = [];
  private torn = '';
  private unsynced = 0;

  constructor(hostname: string) {
    this.hostname = hostname;
  }

  /** As the file is opened: read, and written anew without what no longer matters. */
  load(): readonly JournalLine[] {
    const { hostname } = this;
    const text = this.texts.join('') + this.torn;
    const lines = retained(linesOf(text, hostname).get(hostname) ?? []);
    this.texts = lines.map((line) => textOfLine(hostname, line));
    this.torn = '';
    this.unsynced = 0;
    return lines;
  }

  write(line: JournalLine, durable: boolean): void {
    this.texts.push(textOfLine(this.hostname, line));
    this.unsynced = durable ? 0 : this.unsynced + 1;
    if (line.t === 'open') this.opened = line.snapshot;
  }

  /** Only this share of the line gets there; nothing is written behind it. */
  tear(line: JournalLine, share: number): void {
    const text = textOfLine(this.hostname, line);
    this.torn = text.slice(0, Math.floor(text.length * share));
  }

  losePower(): void {
    if (this.unsynced > 0) {
      this.texts.splice(-this.unsynced);
      this.torn = '';
    }
    this.unsynced = 0;
  }
}
