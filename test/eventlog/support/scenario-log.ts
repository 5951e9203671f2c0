/** Commands over a scenario's log, whose owner may do to it what nobody else may. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Io } from '../../../src/cli/io.ts';
import { createPool, type Pool } from '../../../src/db/pool.ts';
import { run } from '../../cli/support.ts';
import { createTestDatabase } from '../../support/database.ts';
import { seed } from './seed.ts';

function scenario(name: string): string {
  return readFileSync(path.join(import.meta.dirname, '../../reducer/scenarios', name), 'utf8');
}

export interface ScenarioLog {
  readonly url: string;
  readonly pool: Pool;
  readonly headSeq: number;
}

/** In a database of its own. */
export async function openScenario(name: string): Promise<ScenarioLog> {
  const { url } = await createTestDatabase();
  const database = { url, schema: 'muster', name: 'test' };
  const pool = createPool(database, { role: 'test', max: 2, statementMs: 10_000 });
  const { state } = await seed((statements) => pool.run(statements), scenario(name));
  return { url, pool, headSeq: state.headSeq };
}

const ON = ['event_log_no_change', 'event_log_no_truncate']
  .map((name) => `ALTER TABLE event_log ENABLE ALWAYS TRIGGER ${name}`)
  .join('; ');

/** As someone who owns the database, switches the triggers off, and on again, lest it shows. */
export function tamperWith(pool: Pool, text: string): Promise<unknown> {
  return pool.run((sql) => sql.unsafe(`ALTER TABLE event_log DISABLE TRIGGER ALL; ${text}; ${ON}`));
}

export async function callOn(
  url: string,
  command: (args: string[], io: Io) => Promise<number>,
  ...args: string[]
) {
  const { code, stdout, stderr } = await run(command, ...args, '--database-url', url);
  return { code, out: stdout, err: stderr, json: (): unknown => JSON.parse(stdout) };
}
