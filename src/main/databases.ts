/** The database as this process reaches it: as the API's login, and as the one that may write the log. */
import type { Config } from '../config.ts';
import type { DatabaseOptions } from '../db/driver.ts';
import type { Logger, Metrics } from '../telemetry.ts';
import { leadersVariable } from './login.ts';

interface Databases {
  readonly database: DatabaseOptions;
  readonly leaderDatabase: DatabaseOptions;
}

export function databases(
  config: Config,
  name: string,
  { logger, metrics }: { readonly logger: Logger; readonly metrics: Metrics },
): Databases {
  const database: DatabaseOptions = {
    ...{ url: config.databaseUrl, schema: config.schema, name },
    onAbandoned: ({ role, sessions }) => {
      metrics.count('muster_database_abandoned_sessions_total', { role }, sessions);
      logger.warn(
        { role, sessions },
        'statements hang in the database, and their sessions are to be ended: a standby is away, or a disk hangs',
      );
    },
  };
  const url = config.leaderDatabaseUrl ?? config.databaseUrl;
  return { database, leaderDatabase: { ...database, url, variable: leadersVariable(config) } };
}
