/** A picture on a terminal that is drawn again in its place. Nothing of it wraps or scrolls: else copies would stay. */
import { clip, widthOf } from './text-width.ts';

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

interface Terminal {
  write(text: string): unknown;
  readonly columns?: number;
  readonly rows?: number;
}

/** What a terminal has that does not say. */
const USUAL: Size = { columns: 80, rows: 24 };

/** Asked anew for each picture: windows are resized. Some terminals say 0. */
export function sizeOf({ columns, rows }: Terminal): Size {
  return { columns: columns || USUAL.columns, rows: rows || USUAL.rows };
}

/** Lines that fit: a line that ends in the last column would wrap on some terminals. */
export function roomIn({ columns, rows }: Size): Size {
  return { columns: Math.max(1, columns - 1), rows: Math.max(1, rows - 1) };
}

/** Returns how to draw. */
export function createPicture(terminal: Terminal): (lines: readonly string[]) => void {
  let drawn: readonly string[] = [];
  return (lines) => {
    const size = sizeOf(terminal);
    const room = roomIn(size);
    // Up to the top of the old picture, then clear to the end of the screen.
    const up = Math.min(heightOf(drawn, size.columns), room.rows);
    drawn = lines.slice(0, room.rows).map((line) => clip(line, room.columns));
    terminal.write(`${up === 0 ? '' : `\u001b[${String(up)}A`}\u001b[0J${drawn.join('\n')}\n`);
  };
}

/** A terminal that became narrower has wrapped what stood there. */
function heightOf(lines: readonly string[], columns: number): number {
  return lines.reduce((sum, line) => sum + Math.max(1, Math.ceil(widthOf(line) / columns)), 0);
}
