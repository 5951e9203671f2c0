/** What every test database holds from the start: the migrated schema `muster`, and no rows. */
import { migrate } from '../../src/db/migrate.ts';

export const TEST_SCHEMA = 'muster';

/** `url`: the template database. Every connection to it must be closed again at the end. */
export async function fillTemplate(url: string): Promise<void> {
  await migrate({ url, schema: TEST_SCHEMA, name: 'test-template' });
}
