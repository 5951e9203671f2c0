/** The migrations that this code brings: numbered SQL files, shipped beside the code. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly sql: string;
  /** SHA-256 hex of the file. */
  readonly checksum: string;
  /** The oldest code, by the newest migration that it knows, that may go on after this one; 0: any. */
  readonly oldestCode: number;
}

/** A migration that takes something away says so in a line of its own, the first by convention: `-- oldest code: 0017`. */
const OLDEST_CODE = /^-- oldest code: (\d{4})$/m;

/** The packaged files, in order; found from `src` and from `dist` alike. */
export function packagedMigrations(): Migration[] {
  const folder = migrationsFolder();
  return readdirSync(folder)
    .filter((name) => /^\d{4}_[a-z0-9_]+\.sql$/.test(name))
    .sort()
    .map((name) => {
      const sql = readFileSync(path.join(folder, name), 'utf8');
      const checksum = createHash('sha256').update(sql).digest('hex');
      return {
        version: Number(name.slice(0, 4)),
        name,
        sql,
        checksum,
        oldestCode: Number(OLDEST_CODE.exec(sql)?.[1] ?? 0),
      };
    });
}

function migrationsFolder(): string {
  let at = path.dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const folder = path.join(at, 'migrations');
    if (existsSync(path.join(folder, '0001_foundation.sql'))) return folder;
    const parent = path.dirname(at);
    if (parent === at) throw new Error('the migrations folder is missing from this installation');
    at = parent;
  }
}

/** Its statements for one installation. */
export function sqlOf({ sql }: Migration, schema: string): string {
  return sql.replaceAll('{{schema}}', schema);
}
