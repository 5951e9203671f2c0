/** `npm run vectors`, at its edges: what it is asked wrongly it refuses, whatever files come with it. */
import { spawnSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';

function vectors(...words: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['dist/cli/vectors/main.js', ...words],
    { encoding: 'utf8' },
  );
  return { status, stdout, stderr };
}

const SAMPLE = 'test/vectors/host.jsonl.gz';

it('refuses an option that it does not know, and compares nothing', () => {
  const { status, stdout, stderr } = vectors(SAMPLE, '--jsno');
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toMatch(/--jsno[\s\S]*usage: npm run vectors/);
});

it('wants a file', () => {
  expect(vectors('--json')).toMatchObject({ status: 2, stdout: '' });
});

it('is not green by a file that says nothing, or is not there', () => {
  const empty = path.join(mkdtempSync(path.join(tmpdir(), 'muster-')), 'empty.jsonl.gz');
  writeFileSync(empty, gzipSync(''));
  for (const file of [empty, 'nowhere.jsonl.gz']) {
    const { status, stdout } = vectors(file, '--json');
    expect([file, status, JSON.parse(stdout)]).toMatchObject([file, 1, { unexplained: 1 }]);
  }
});
