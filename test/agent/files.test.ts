/** What an agent puts on disk is there after a power cut: each folder that got an entry was synced. */
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { pendingRequest } from '../../src/agent/credentials.ts';
import { makeFolder } from '../../src/agent/files.ts';

let dir = '';
const synced: number[] = [];

beforeEach(async () => {
  dir = mkdtempSync(path.join(tmpdir(), 'muster-files-'));
  const some = await open(dir);
  await some.close();
  const files = Object.getPrototypeOf(some) as FileHandle;
  const { sync } = files;
  vi.spyOn(files, 'sync').mockImplementation(async function (this: FileHandle) {
    synced.push((await this.stat()).ino);
    await sync.call(this);
  });
});

afterEach(() => {
  vi.restoreAllMocks();
  synced.length = 0;
  rmSync(dir, { recursive: true });
});

test('a new folder is an entry of the one above it, and so on up to what was there', async () => {
  const folders = [path.join(dir, 'a', 'b'), path.join(dir, 'a'), dir];
  await makeFolder(path.join(dir, 'a', 'b', 'c'), 0o700);
  expect(synced).toEqual(folders.map((folder) => statSync(folder).ino));
  await makeFolder(path.join(dir, 'a', 'b', 'c'), 0o700);
  expect(synced).toHaveLength(3);
});

test('a key is in its folder for good before anybody is asked to certify it', async () => {
  const { keyPem } = await pendingRequest({ dir: path.join(dir, 'agent'), name: 'web-01' });
  const file = path.join(dir, 'agent', 'pending.json');
  expect(readFileSync(file, 'utf8')).toContain(JSON.stringify(keyPem).slice(1, -1));
  expect(synced.slice(-2)).toEqual([statSync(file).ino, statSync(path.dirname(file)).ino]);
});
