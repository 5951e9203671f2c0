/** Each weakening still fits what is built, and names faults that there are. */
import fs from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { FAULTS } from './suite/faults/all.ts';
import { weakened, WEAKENINGS } from './suite/weaken.ts';

it.each(WEAKENINGS.map((weakening) => [weakening.name, weakening] as const))(
  '%s fits the build',
  (_, weakening) => {
    const text = fs.readFileSync(path.resolve('dist', weakening.file), 'utf8');
    expect(weakened(text, weakening)).not.toBe(text);
    const faults = FAULTS.map(({ name }) => name);
    expect(faults).toEqual(expect.arrayContaining([...weakening.faults]));
  },
);
