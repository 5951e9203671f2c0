import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_NESTING, nestsWithin, parseJsonText, storableText } from '../../src/wire/text.ts';

function nested(depth: number): string {
  return '['.repeat(depth) + ']'.repeat(depth);
}

function problemOf(body: string): string {
  const parsed = parseJsonText(body);
  return parsed.ok ? '' : parsed.problem;
}

describe('storableText', () => {
  it('replaces NUL and lone surrogates, and only them', () => {
    expect(storableText('a\0b\uD800c\uDC00d')).toBe('a\uFFFDb\uFFFDc\uFFFDd');
    expect(storableText('\uD83D\uDE00 fine')).toBe('\uD83D\uDE00 fine');
    expect(storableText('\uDE00\uD83D')).toBe('\uFFFD\uFFFD');
  });

  it('gives what UTF-8 encoding would give, less NUL', () => {
    const unit = fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code));
    fc.assert(
      fc.property(fc.array(unit), (units) => {
        const text = units.join('');
        const wellFormed = Buffer.from(text, 'utf8').toString('utf8');
        expect(storableText(text)).toBe(wellFormed.replaceAll('\0', '\uFFFD'));
      }),
    );
  });
});

describe('parseJsonText', () => {
  it('makes escapes storable in values and in names', () => {
    const body = '{"a\\u0000":["\\ud800", "\\u00e9"], "n": 1, "t": null}';
    expect(parseJsonText(body)).toEqual({
      ok: true,
      value: { 'a\uFFFD': ['\uFFFD', 'é'], n: 1, t: null },
    });
  });

  it('refuses malformed JSON and says what to send', () => {
    expect(problemOf('{"a":')).toContain('send one JSON object');
  });

  it('caps nesting, however deep the body goes', () => {
    expect(parseJsonText(nested(MAX_NESTING)).ok).toBe(true);
    expect(problemOf(nested(MAX_NESTING + 1))).toContain('64 levels');
    expect(parseJsonText(nested(100_000)).ok).toBe(false);
  });
});

describe('nestsWithin', () => {
  it('counts containers, not values', () => {
    expect(nestsWithin('x', 0)).toBe(true);
    expect(nestsWithin({ a: [1] }, 2)).toBe(true);
    expect(nestsWithin({ a: [{}] }, 2)).toBe(false);
  });
});
