import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalBytes } from '../../src/trust/jcs.ts';
import { type Json, parseStrict, type ParseResult } from '../../src/trust/json.ts';

function parse(text: string): ParseResult {
  return parseStrict(Buffer.from(text));
}

function valueOf(result: ParseResult): Json {
  if (!result.ok) throw new Error(result.detail);
  return result.value;
}

function tryJsonParse(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

const nested = (depth: number) => `${'['.repeat(depth)}1${']'.repeat(depth)}`;

describe('parseStrict against JSON.parse', () => {
  it('gives the same value for every document that has unsafe numbers only as floats', () => {
    const options = { maxDepth: 6, noUnicodeString: false } as const;
    fc.assert(
      fc.property(fc.json(options), fc.constantFrom(0, 2), (text, indent) => {
        const pretty = JSON.stringify(JSON.parse(text), null, indent);
        const result = parse(pretty);
        if (!result.ok) expect(result.detail).toMatch(/outside ±\(2\^53 - 1\)/);
        else expect(result.value).toEqual(JSON.parse(pretty));
      }),
      { numRuns: 500 },
    );
  });

  it('never accepts what JSON.parse refuses, and never reads it otherwise', () => {
    const piece = fc.constantFrom(
      ...'{}[]:,"\\ \n\t0123456789.eE+-'.split(''),
      ...[
        'true',
        'false',
        'null',
        '"a"',
        '"b":',
        '\\u0061',
        '\\ud83d',
        '\\ude00',
        '1e5',
        '-0',
        'é',
      ],
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
        const text = pieces.join('');
        const result = parse(text);
        if (!result.ok) return;
        const reference = tryJsonParse(text);
        expect(reference).toBeDefined();
        expect(result.value).toEqual(reference?.value);
      }),
      { numRuns: 20_000 },
    );
  });

  it('accepts one-token edits exactly when JSON.parse does, duplicates and numbers aside', () => {
    const base = '{"a":[1,-2.5e3,true,null,"x\\n\\u00e9"],"b":{"c":{},"d":[]},"e":"é𝄞"}';
    const edit = fc.record({
      at: fc.nat(base.length),
      remove: fc.nat(2),
      insert: fc.constantFrom(
        '',
        ',',
        ':',
        '"',
        '{',
        '}',
        '[',
        ']',
        ' ',
        '1',
        '0',
        '\\',
        '\u0001',
        'n',
      ),
    });
    fc.assert(
      fc.property(edit, ({ at, remove, insert }) => {
        const cut = base.slice(0, at) + insert + base.slice(at + remove);
        // An edit may have split a surrogate pair, which UTF-8 cannot carry.
        const text = Buffer.from(cut).toString();
        const result = parse(text);
        if (!result.ok && /twice|surrogate/.test(result.detail)) return;
        expect(result.ok).toBe(tryJsonParse(text) !== undefined);
      }),
      { numRuns: 5000 },
    );
  });

  it('reads its own canonical form back to the same bytes', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), (text) => {
        const first = parse(text);
        if (!first.ok) return;
        const canonical = canonicalBytes(first.value);
        const again = parseStrict(canonical);
        expect(Buffer.from(canonicalBytes(valueOf(again)))).toEqual(Buffer.from(canonical));
      }),
    );
  });
});

describe('parseStrict refuses what has no single canonical form', () => {
  const refused: [string, string, RegExp][] = [
    ['a duplicate key', '{"a":1,"a":1}', /"a" stands twice/],
    ['a duplicate key in disguise', '{"a":1,"\\u0061":2}', /"a" stands twice/],
    ['a duplicate __proto__', '{"__proto__":1,"__proto__":2}', /twice/],
    ['a duplicate key deep inside', '[{"x":{"k":1,"l":2,"k":3}}]', /"k" stands twice/],
    ['2^53', '9007199254740992', /outside/],
    ['-2^53', '-9007199254740992', /outside/],
    ['a long integer', '1000000000000000000000', /outside/],
    ['a float whose canonical form is such an integer', '1e20', /outside/],
    ['a number that is infinite', '1e400', /too large/],
    ['half a pair, high', '"\\ud800"', /surrogate/],
    ['half a pair, low', '"\\udc00x"', /surrogate/],
    ['half a pair in a key', '{"\\ud800":1}', /surrogate/],
    ['a pair the wrong way round', '"\\udc00\\ud800"', /surrogate/],
    ['65 levels', nested(65), /deeper than 64/],
    ['a byte order mark', '\uFEFF{}', /value was expected/],
    ['text after the end', '{} {}', /after the end/],
    ['nothing', '', /value was expected/],
    ['white space that is not JSON', '\u00a0{}', /value was expected/],
    ['a trailing comma', '[1,]', /value was expected/],
    ['a trailing comma in an object', '{"a":1,}', /key in double quotes/],
    ['a leading zero', '01', /after the end/],
    ['NaN', 'NaN', /value was expected/],
    ['a raw control character', '"a\nb"', /control character/],
    ['an unfinished string', '"abc', /no end/],
    ['an unfinished escape', '"abc\\', /no end/],
    ['an unknown escape', '"\\x41"', /unknown escape/],
  ];
  it.each(refused)('%s', (_name, text, detail) => {
    const result = parse(text);
    expect(result.ok).toBe(false);
    expect(result.ok ? '' : result.detail).toMatch(detail);
  });

  it('invalid UTF-8, surrogates in UTF-8 included', () => {
    for (const bytes of [
      [0x22, 0xff, 0x22],
      [0x22, 0xed, 0xa0, 0x80, 0x22],
      [0x22, 0xc0, 0x80, 0x22],
    ]) {
      expect(parseStrict(Uint8Array.from(bytes))).toEqual({ ok: false, detail: 'not valid UTF-8' });
    }
  });

  it('more values than were asked for, wherever they are', () => {
    const bytes = Buffer.from('{"a":[1,{"b":2}],"c":[[]]}');
    expect(parseStrict(bytes, 7).ok).toBe(true);
    expect(parseStrict(bytes, 6)).toEqual({
      ok: false,
      detail: expect.stringContaining('more than 6 values') as string,
    });
  });

  it('deep nesting without exhausting the stack', () => {
    expect(parse(nested(1_000_000)).ok).toBe(false);
    expect(parse('{"a":'.repeat(1_000_000)).ok).toBe(false);
  });
});

describe('parseStrict accepts', () => {
  it('64 levels, the largest safe integers, large floats and minus zero', () => {
    expect(parse(nested(64)).ok).toBe(true);
    expect(valueOf(parse('[9007199254740991,-9007199254740991,1e21,1.5e300,-0]'))).toEqual([
      9007199254740991, -9007199254740991, 1e21, 1.5e300, -0,
    ]);
  });

  it('the same key in different objects, and an escaped pair', () => {
    expect(valueOf(parse('[{"a":1},{"a":{"a":2}},"\\ud834\\udd1e"]'))).toEqual([
      { a: 1 },
      { a: { a: 2 } },
      '𝄞',
    ]);
  });

  it('__proto__ as a plain key, leaving the prototype alone', () => {
    const value = valueOf(parse('{"__proto__":{"polluted":true},"constructor":1}'));
    expect(Object.keys(value ?? {})).toEqual(['__proto__', 'constructor']);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(Reflect.get({}, 'polluted')).toBeUndefined();
    expect(Buffer.from(canonicalBytes(value)).toString()).toBe(
      '{"__proto__":{"polluted":true},"constructor":1}',
    );
  });
});

describe('canonicalBytes', () => {
  it('follows RFC 8785: sorted by UTF-16, shortest numbers, minimal escapes', () => {
    const text =
      '{"\u20ac":1,"\\r":2,"\\ufb33":3,"1":4,"\\ud83d\\ude00":5,"\\u0080":6,"\\u00f6":7,"n":[1E30,4.50,2e-3,1e-27,-0]}';
    expect(Buffer.from(canonicalBytes(valueOf(parse(text)))).toString()).toBe(
      '{"\\r":2,"1":4,"n":[1e+30,4.5,0.002,1e-27,0],"\u0080":6,"ö":7,"€":1,"😀":5,"\ufb33":3}',
    );
  });
});
