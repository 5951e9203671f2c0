/** A test database with its four roles, and a login in each, all of names that no other test has. */
import { randomBytes } from 'node:crypto';
import postgres from 'postgres';
import type { Migration } from '../../src/db/migration-files.ts';
import { migrate } from '../../src/db/migrate.ts';
import { roleNames } from '../../src/db/roles.ts';
import { createTestDatabase } from './database.ts';

export interface RoleDatabase {
  readonly url: string;
  readonly prefix: string;
  /** URL of a login that is in this role and nothing else. */
  as(role: 'owner' | 'api' | 'leader' | 'readonly'): string;
  /** Takes roles and logins away, and with them what is in the database. */
  drop(): Promise<void>;
}

/** `migrations`: others than the packaged ones, into an empty database. */
export async function createRoleDatabase(migrations?: readonly Migration[]): Promise<RoleDatabase> {
  const { url } = await createTestDatabase({ empty: migrations !== undefined });
  const prefix = `t_${randomBytes(5).toString('hex')}`;
  await migrate(
    { url, schema: 'muster', name: 'test' },
    { rolePrefix: prefix, ...(migrations === undefined ? {} : { migrations }) },
  );
  const names = roleNames(prefix);
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  for (const name of Object.values(names)) {
    await sql.unsafe(`CREATE ROLE ${name}_1 LOGIN PASSWORD 'secret' IN ROLE ${name}`);
  }
  return {
    url,
    prefix,
    as(role) {
      const own = new URL(url);
      own.username = `${names[role]}_1`;
      own.password = 'secret';
      return own.href;
    },
    async drop() {
      for (const name of Object.values(names)) {
        await sql.unsafe(`DROP OWNED BY ${name} CASCADE; DROP ROLE ${name}_1; DROP ROLE ${name}`);
      }
      await sql.end();
    },
  };
}
