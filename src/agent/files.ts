/** Files of an agent: some need not be there, and what is put there must outlast a power cut. */
import { mkdir, open, readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/** Null: there is none. */
export async function readIfThere(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

/** What is created or renamed in a folder is there for good once the folder itself is on disk. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder);
  await handle.sync().finally(() => handle.close());
}

/** The folder, and those above it that are missing, for good. */
export async function makeFolder(folder: string, mode?: number): Promise<void> {
  const first = await mkdir(folder, { recursive: true, ...(mode === undefined ? {} : { mode }) });
  if (first === undefined) return;
  const highest = resolve(first).length;
  for (let made = resolve(folder); made.length >= highest; made = dirname(made))
    await syncFolder(dirname(made));
}
