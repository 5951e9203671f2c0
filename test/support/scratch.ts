/** Directories for tests' files, below one of the run, which goes at its end however it ends. */
import { mkdtempSync, chmodSync } from 'node:fs';
import path from 'node:path';
import { inject } from 'vitest';

/** A fresh directory. Readable by all: as root, PostgreSQL runs as `nobody`. */
export function makeScratchDir(name: string): string {
  const dir = mkdtempSync(path.join(inject('scratchDir'), `${name}-`));
  chmodSync(dir, 0o755);
  return dir;
}
