import { describe, expect, it } from 'vitest';
import { isHostname, isRolloutId, isSeq } from '../../src/wire/ids.ts';
import { canonicalTime } from '../../src/wire/instant.ts';

describe('ids', () => {
  it.each(['stable@a1b2', `${'x'.repeat(64)}@${'0'.repeat(64)}`, 'a_b-c@0'])('takes %s', (id) => {
    expect(isRolloutId(id)).toBe(true);
  });

  it.each(['Stable@a1', 'stable', 'stable@', '@a1', 'stable@xyz', 'a@b@c', '../x@a', 'a@b\n', 5])(
    'refuses the rollout id %j',
    (id) => {
      expect(isRolloutId(id)).toBe(false);
    },
  );

  it('bounds host names', () => {
    expect(isHostname('web-01.example.net')).toBe(true);
    expect(isHostname('x'.repeat(253))).toBe(true);
    expect(['', 'x'.repeat(254), 'a/b', 'a b', '-a', 'a\0', "a'b"].some(isHostname)).toBe(false);
  });

  it('bounds seqs', () => {
    expect([1, Number.MAX_SAFE_INTEGER].every(isSeq)).toBe(true);
    expect([0, -1, 0.5, 2 ** 53, Number.NaN, '1'].some(isSeq)).toBe(false);
  });
});

describe('canonicalTime', () => {
  it.each([
    ['2026-05-16T01:27:01Z', '2026-05-16T01:27:01.000Z'],
    ['2026-05-16t01:27:01.5z', '2026-05-16T01:27:01.500Z'],
    ['2026-05-16 01:27:01.123456789+00:00', '2026-05-16T01:27:01.123Z'],
    ['2026-05-16T23:30:00-02:30', '2026-05-17T02:00:00.000Z'],
    ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
    ['2016-12-31T23:59:60Z', '2016-12-31T23:59:59.999Z'],
    ['0099-01-01T00:00:00Z', '0099-01-01T00:00:00.000Z'],
    ['1970-01-01T00:00:00+05:00', '1969-12-31T19:00:00.000Z'],
  ])('%s becomes %s', (text, canonical) => {
    expect(canonicalTime(text)).toBe(canonical);
  });

  it.each([
    '',
    'now',
    '2026-05-16',
    '2026-05-16T01:27Z',
    '2026-05-16T01:27:01',
    '2026-02-30T00:00:00Z',
    '2025-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-05-16T24:00:00Z',
    '2026-05-16T01:60:00Z',
    '2026-05-16T01:27:01+24:00',
    '2026-05-16T01:27:01.Z',
    '0000-01-01T00:00:00Z',
    '0001-01-01T00:00:00+01:00',
    '9999-12-31T23:59:59Z',
    ' 2026-05-16T01:27:01Z',
    `2026-05-16T01:27:01.${'0'.repeat(60)}Z`,
  ])('refuses %j', (text) => {
    expect(canonicalTime(text)).toBeNull();
  });
});
