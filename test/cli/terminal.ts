/**
 * A terminal, as far as a redrawn picture needs one: cursor up, clear to the end, colours, and lines that wrap as soon
 * as they reach the edge, as the strictest terminals do.
 */
export class Terminal {
  readonly isTTY = true;
  /** Lines that left the screen at its top, where nothing can be drawn over them. */
  scrolled = 0;
  wraps = 0;
  private lines: string[] = [''];
  private row = 0;
  private column = 0;

  readonly columns: number;
  readonly rows: number;

  constructor(columns: number, rows: number) {
    this.columns = columns;
    this.rows = rows;
  }

  write(text: string): void {
    for (const part of text.split(/(\u001b\[\d*[A-Za-z]|\n)/)) {
      const escape = /^\u001b\[(\d*)([A-Za-z])$/.exec(part);
      if (part === '\n') this.newLine();
      else if (escape === null) for (const letter of part) this.put(letter);
      else this.obey(Number(escape[1] ?? 0), escape[2] ?? '');
    }
  }

  /** What is seen, without the empty line of the cursor. */
  picture(): string[] {
    return this.lines.slice(0, this.row).map((line) => line.trimEnd());
  }

  private obey(n: number, command: string): void {
    if (command === 'A') this.row = Math.max(0, this.row - n);
    if (command === 'J') {
      this.lines = this.lines.slice(0, this.row);
      this.lines.push('');
    }
    if (command !== 'm') this.column = 0;
  }

  private put(letter: string): void {
    const line = this.lines[this.row] ?? '';
    this.lines[this.row] = `${line.slice(0, this.column).padEnd(this.column)}${letter}`;
    this.column += 1;
    if (this.column < this.columns) return;
    this.wraps += 1;
    this.newLine();
  }

  private newLine(): void {
    this.column = 0;
    this.row += 1;
    if (this.row >= this.rows) {
      this.lines.shift();
      this.scrolled += 1;
      this.row -= 1;
    }
    this.lines[this.row] ??= '';
  }
}
