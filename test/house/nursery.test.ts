/** Of a flag that it does not know V8 says so in a line on standard error, and goes on: nothing but speed would tell. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

describe('what a serving process asks of V8', () => {
  it('is known to the one that runs here', () => {
    const asked = /setFlagsFromString\('--no-([a-z-]+)'\)/.exec(
      readFileSync('src/cli/nursery.ts', 'utf8'),
    )?.[1];
    const known = execFileSync(process.execPath, ['--v8-options'], { encoding: 'utf8' });
    expect(asked).toBeDefined();
    expect(known).toMatch(new RegExp(`^ +--(\\[no-\\])?${asked ?? ''} `, 'm'));
  });
});
