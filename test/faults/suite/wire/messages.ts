/** The frames of PostgreSQL's wire protocol (version 3): enough to see what a session says, and no more. */

export interface Message {
  /** The type byte; empty for the startup packet, which has none. */
  readonly type: string;
  readonly bytes: Buffer;
}

const LENGTH_BYTES = 4;

/** Cuts a stream of bytes into whole messages. */
export class Framer {
  private pending: Buffer = Buffer.alloc(0);
  private startup: boolean;

  /** `startup`: the stream begins with a packet that has no type byte, as a client's does. */
  constructor(startup: boolean) {
    this.startup = startup;
  }

  push(chunk: Buffer): Message[] {
    this.pending = this.pending.length === 0 ? chunk : Buffer.concat([this.pending, chunk]);
    const messages: Message[] = [];
    for (let next = this.next(); next !== null; next = this.next()) messages.push(next);
    return messages;
  }

  private next(): Message | null {
    const head = this.startup ? 0 : 1;
    if (this.pending.length < head + LENGTH_BYTES) return null;
    const length = head + this.pending.readUInt32BE(head);
    if (this.pending.length < length) return null;
    const bytes = this.pending.subarray(0, length);
    this.pending = this.pending.subarray(length);
    const type = this.startup ? '' : String.fromCharCode(bytes[0] ?? 0);
    this.startup = false;
    return { type, bytes };
  }
}

/** The zero-terminated strings of a message from `offset` on, the first `count` of them. */
export function strings({ bytes }: Message, offset: number, count: number): string[] {
  const found: string[] = [];
  let at = offset;
  while (found.length < count) {
    const end = bytes.indexOf(0, at);
    if (end < 0) break;
    found.push(bytes.toString('utf8', at, end));
    at = end + 1;
  }
  return found;
}

const STARTUP_PARAMETERS = 8;
const MOST_STRINGS = 100;

/** A parameter of the startup packet. */
export function startupParameter(message: Message, name: string): string | null {
  const pairs = strings(message, STARTUP_PARAMETERS, MOST_STRINGS);
  const at = pairs.findIndex((text, i) => i % 2 === 0 && text === name);
  return at < 0 ? null : (pairs[at + 1] ?? null);
}

/** Where the contents of a typed message begin. */
export const CONTENTS = 1 + LENGTH_BYTES;
