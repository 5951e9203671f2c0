/**
 * Instants of the database as the core reads them. PostgreSQL knows more than the core: `infinity`, years beyond four digits
 * and those before Christ. What holds one was written by hand, and is told of by its value.
 */

/** As the server writes what has any of our years, in ISO style and UTC. */
const WRITTEN = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))?\+00$/;
const CANONICAL_LENGTH = 24;

export class UnreadableInstantError extends Error {
  override readonly name = 'UnreadableInstantError';
  /** As the server wrote it. */
  readonly text: string;

  /** `place` is what holds it, where that is known. */
  constructor(text: string, place = 'the database') {
    super(
      `${place} holds the instant ${JSON.stringify(text)}, and only those of the years 1 to 9999 can be read: correct it as the owner (docs/operations/no-leader.md)`,
    );
    this.text = text;
  }
}

/** The canonical instant of what the server wrote. */
export function readInstant(text: string): string {
  const match = WRITTEN.exec(text);
  if (match === null) return readOther(text);
  const [, date = '', time = '', fraction = ''] = match;
  return `${date}T${time}.${fraction.padEnd(3, '0').slice(0, 3)}Z`;
}

/** In another zone or style: behind a pooler that drops the settings of our sessions. */
function readOther(text: string): string {
  const instant = Date.parse(text);
  const read = Number.isNaN(instant) ? '' : new Date(instant).toISOString();
  if (read.length === CANONICAL_LENGTH) return read;
  throw new UnreadableInstantError(text);
}
