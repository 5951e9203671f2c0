/**
 * Strict JSON for signed artifacts.
 *
 * JSON.parse cannot be used before a signature check: of two equal keys it keeps the last, while
 * another implementation keeps the first, and both would call the signature good over a different
 * content. It also rounds integers and lets half a surrogate pair through, which RFC 8785 cannot
 * write down. So this parser accepts exactly what has one canonical form (I-JSON, RFC 7493) and
 * refuses the rest with the place where it stands. Whatever it refuses is `not-canonicalisable`.
 */

export type Json = null | boolean | number | string | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json;
}

export type ParseResult = { ok: true; value: Json } | { ok: false; detail: string };

/**
 * Artifacts nest about 8 deep. 64 is the protocol's cap; it also keeps every recursion over a parsed
 * value (this parser, the canonicaliser) far from the end of the stack.
 */
const MAX_DEPTH = 64;

/**
 * Parses UTF-8 bytes. Never throws for anything that the bytes may hold. `mostValues`: how many values, at whatever
 * depth, are read before the rest is refused; a megabyte can hold half a million, which take a second.
 */
export function parseStrict(bytes: Uint8Array, mostValues = Infinity): ParseResult {
  const text = decodeUtf8(bytes);
  if (text === undefined) return { ok: false, detail: 'not valid UTF-8' };
  try {
    return { ok: true, value: new Parser(text, mostValues).document() };
  } catch (error) {
    if (error instanceof Refusal) return { ok: false, detail: error.message };
    throw error;
  }
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Sets an own property even for `__proto__`, which plain assignment would take for the prototype. */
export function setOwn(target: JsonObject, key: string, value: Json): void {
  if (key !== '__proto__') target[key] = value;
  else
    Object.defineProperty(target, key, {
      value,
      enumerable: true,
      writable: true,
      configurable: true,
    });
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    // ignoreBOM keeps a BOM in the text, where the parser refuses it like any other stray character.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

class Refusal extends Error {}

const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const LONE_SURROGATE = /\p{Surrogate}/u;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

class Parser {
  private at = 0;
  private readonly text: string;
  private readonly mostValues: number;
  private values = 0;

  constructor(text: string, mostValues: number) {
    this.text = text;
    this.mostValues = mostValues;
  }

  document(): Json {
    const value = this.value(0);
    this.skipSpace();
    if (this.at < this.text.length) this.refuse('more text after the end of the value');
    return value;
  }

  private value(depth: number): Json {
    this.values += 1;
    if (this.values > this.mostValues) this.refuse(`more than ${String(this.mostValues)} values`);
    this.skipSpace();
    switch (this.text[this.at]) {
      case '{':
        return this.object(depth + 1);
      case '[':
        return this.array(depth + 1);
      case '"':
        return this.string();
      case 't':
        return this.literal('true', true);
      case 'f':
        return this.literal('false', false);
      case 'n':
        return this.literal('null', null);
      default:
        return this.number();
    }
  }

  private object(depth: number): JsonObject {
    this.enter(depth);
    const result: JsonObject = {};
    if (this.take('}')) return result;
    do {
      this.skipSpace();
      if (this.text.charCodeAt(this.at) !== QUOTE)
        this.refuse('a key in double quotes was expected');
      const key = this.string();
      if (Object.hasOwn(result, key))
        this.refuse(`the key ${JSON.stringify(key)} stands twice in one object`);
      this.expect(':');
      setOwn(result, key, this.value(depth));
    } while (this.take(','));
    this.expect('}');
    return result;
  }

  private array(depth: number): Json[] {
    this.enter(depth);
    const result: Json[] = [];
    if (this.take(']')) return result;
    do result.push(this.value(depth));
    while (this.take(','));
    this.expect(']');
    return result;
  }

  private enter(depth: number): void {
    if (depth > MAX_DEPTH) this.refuse(`nested deeper than ${String(MAX_DEPTH)}`);
    this.at += 1;
  }

  private string(): string {
    const start = this.at;
    let escaped = false;
    for (let at = start + 1; ; at++) {
      const code = this.text.charCodeAt(at);
      if (code === QUOTE) {
        this.at = at + 1;
        return escaped ? this.unescape(start) : this.text.slice(start + 1, at);
      }
      if (code === BACKSLASH) {
        escaped = true;
        at += 1;
      } else if (!(code >= 0x20)) {
        // NaN, past the end, compares false as well.
        this.at = at;
        this.refuse(
          Number.isNaN(code) ? 'a string has no end' : 'a raw control character in a string',
        );
      }
    }
  }

  /**
   * Only a string with a backslash comes here. For one string token JSON.parse is strict enough, and
   * only an escape can make half a surrogate pair: the UTF-8 decoder has refused raw ones.
   */
  private unescape(start: number): string {
    const value = parseToken(this.text.slice(start, this.at));
    if (value === undefined) return this.refuse('an unknown escape in a string', start);
    if (LONE_SURROGATE.test(value)) return this.refuse('half a surrogate pair in a string', start);
    return value;
  }

  private number(): number {
    NUMBER.lastIndex = this.at;
    const match = NUMBER.exec(this.text);
    if (match === null) return this.refuse('a value was expected');
    const value = Number(match[0]);
    if (!Number.isFinite(value)) this.refuse(`the number ${shorten(match[0])} is too large`);
    const isInteger = match[1] === undefined && match[2] === undefined;
    if (isUnsafe(value, isInteger)) {
      this.refuse(
        `the integer ${shorten(match[0])} is outside ±(2^53 - 1), where readers round differently`,
      );
    }
    this.at += match[0].length;
    return value;
  }

  private literal<T extends boolean | null>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.at)) this.refuse('a value was expected');
    this.at += word.length;
    return value;
  }

  private skipSpace(): void {
    for (; ; this.at++) {
      const code = this.text.charCodeAt(this.at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
    }
  }

  private take(char: string): boolean {
    this.skipSpace();
    if (this.text[this.at] !== char) return false;
    this.at += 1;
    return true;
  }

  private expect(char: string): void {
    if (!this.take(char)) this.refuse(`"${char}" was expected`);
  }

  private refuse(what: string, at: number = this.at): never {
    throw new Refusal(`${what} (at character ${String(at)})`);
  }
}

/**
 * A fraction or an exponent is a float by intent, so `1e+21` passes; but one whose canonical form is
 * written as digits only (below 1e21) would be refused when read back, and so is refused at once.
 */
function isUnsafe(value: number, isInteger: boolean): boolean {
  const size = Math.abs(value);
  return size > Number.MAX_SAFE_INTEGER && (isInteger || size < 1e21);
}

function parseToken(token: string): string | undefined {
  try {
    return String(JSON.parse(token));
  } catch {
    return undefined;
  }
}

function shorten(digits: string): string {
  return digits.length <= 40 ? digits : `${digits.slice(0, 40)}…`;
}
