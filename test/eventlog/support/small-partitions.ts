/** The packaged migrations, but for partitions of the log: 10,000 rows each instead of a million. */
import { packagedMigrations, type Migration } from '../../../src/db/migration-files.ts';

export function smallPartitions(): Migration[] {
  return packagedMigrations().map((one) => ({
    ...one,
    // Not the microseconds of the chain.
    sql: one.sql.replaceAll(/(?<!FROM ts\) \* )1000000/g, '10000'),
  }));
}
