/** Loggers that do not drown their reader. */
import { describe, expect, it } from 'vitest';
import { sparing, type Logger } from '../src/telemetry.ts';
import { fakeClock } from './api/support/fakes.ts';

type Line = readonly [fields: object, message: string];

function recorder(lines: Line[]): Logger {
  const note = (fields: object, message: string): void => {
    lines.push([fields, message]);
  };
  return { debug: note, info: note, warn: note, error: note, child: () => recorder(lines) };
}

describe('a sparing logger', () => {
  it('says a warning that repeats once in 10 s, and how often it was left out', () => {
    const lines: Line[] = [];
    const clock = fakeClock();
    const log = sparing(recorder(lines), clock);
    for (let i = 0; i < 5; i += 1) log.warn({ i }, 'away');
    log.warn({}, 'another');
    expect(lines).toEqual([
      [{ i: 0 }, 'away'],
      [{}, 'another'],
    ]);
    clock.advance(10_000);
    expect(lines.slice(2)).toEqual([[{ i: 4, alike: 4 }, 'away']]);
    log.warn({ i: 9 }, 'away');
    expect(lines.at(-1)).toEqual([{ i: 9 }, 'away']);
  });

  it('leaves all other lines alone', () => {
    const lines: Line[] = [];
    const log = sparing(recorder(lines), fakeClock());
    log.error({}, 'broken');
    log.error({}, 'broken');
    log.child({ room: 1 }).info({}, 'fine');
    expect(lines).toHaveLength(3);
  });
});
