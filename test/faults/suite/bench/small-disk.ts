/** A file system of a few megabytes that can be filled: a tmpfs, which only root may mount. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

export interface SmallDisk {
  readonly dir: string;
  /** Not a byte is left. */
  fill(): void;
  empty(): void;
  close(): void;
}

const CHUNK = Buffer.alloc(64 * 1024);

export function cannotMount(): string | null {
  if (process.platform === 'linux' && process.getuid?.() === 0) return null;
  return 'needs root on Linux, to mount a tmpfs';
}

export function mountSmallDisk(megabytes: number): SmallDisk {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'muster-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0755`, 'tmpfs', dir]);
  const ballast = path.join(dir, 'ballast');
  return {
    dir,
    fill() {
      const file = fs.openSync(ballast, 'a');
      try {
        for (;;) fs.writeSync(file, CHUNK);
      } catch (error) {
        if (!(error instanceof Error) || !error.message.startsWith('ENOSPC')) throw error;
      } finally {
        fs.closeSync(file);
      }
    },
    empty() {
      fs.rmSync(ballast, { force: true });
    },
    close() {
      execFileSync('umount', ['--lazy', dir]);
      fs.rmSync(dir, { recursive: true, force: true });
    },
  };
}
