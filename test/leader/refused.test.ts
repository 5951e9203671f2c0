/** A claim that is answered late: after the commit before it was refused, and the state was loaded anew. */
import { expect, it } from 'vitest';
import { startListener } from '../../src/db/listen.ts';
import { createPool, type Pool } from '../../src/db/pool.ts';
import type { Session } from '../../src/db/session.ts';
import { Patience } from '../../src/leader/lost-answers.ts';
import { LeaderTerm } from '../../src/leader/term.ts';
import { openWriter } from '../../src/leader/writer.ts';
import { gathered, insertInputs } from '../../src/queue/enqueue.ts';
import { DEFAULT_SETTINGS } from '../../src/reducer/settings.ts';
import { createMetrics, systemClock, type Logger } from '../../src/telemetry.ts';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { silentLogger } from '../support/installation.ts';
import { heartbeat } from '../support/small-fleet.ts';

async function queue(pool: Pool): Promise<void> {
  await pool.run((sql) =>
    insertInputs(
      sql,
      ['spoilt', 'next'].map((host) => gathered(heartbeat(host), false)),
      'nobody',
    ),
  );
  // As from an API that let a NUL through: JSON may hold it, a text column may not.
  await pool.run(
    (sql) => sql`UPDATE input_queue
      SET payload = replace(payload::text, 'closure-old', 'closure\\u0000')::json
      WHERE hostname = 'spoilt'`,
  );
}

/** The first claim of `next` is answered when the writer has loaded the state after a refusal. */
function lateClaim(pool: Pool, session: Session): { pool: Pool; writer: Session; logger: Logger } {
  let refused = false;
  let runs = 0;
  const reloaded = new AbortController();
  const writer = new Proxy(session, {
    get(target, name): unknown {
      if (name !== 'run') return Reflect.get(target, name);
      return async (...args: Parameters<Session['run']>) => {
        const done = await target.run(...args);
        // Undone, then loaded.
        if (refused && ++runs === 2)
          setImmediate(() => {
            reloaded.abort();
          });
        return done;
      };
    },
  });
  const late: Pool = {
    get unconfirmed() {
      return pool.unconfirmed;
    },
    async run(statements) {
      const answer = await pool.run(statements);
      if (JSON.stringify(answer).includes('\\"next\\"') && !reloaded.signal.aborted)
        await new Promise((resolve) => {
          reloaded.signal.addEventListener('abort', resolve);
        });
      return answer;
    },
    end: () => pool.end(),
  };
  const logger = {
    ...silentLogger(),
    error: () => {
      refused = true;
    },
  };
  return { pool: late, writer, logger };
}

it('is reduced onto no state that it is then dropped without', async () => {
  const { url } = await createTestDatabase();
  const database = { url, schema: 'muster', name: 'refused' };
  const listener = startListener(database, { logger: silentLogger(), random: () => 0 });
  const pool = createPool(database, { role: 'test', max: 3, statementMs: 10_000 });
  const writer = await openWriter(database);
  try {
    await queue(pool);
    const seam = lateClaim(pool, writer);
    const options = {
      candidate: { holder: 'a', address: '', version: 'test' },
      settings: DEFAULT_SETTINGS,
      batchRows: 1,
      listener,
      patience: new Patience(),
      pool: seam.pool,
      clock: systemClock,
      logger: seam.logger,
      metrics: createMetrics(),
    };
    const term = await LeaderTerm.begin(options, seam.writer);
    const stop = new AbortController();
    const working = term.work(stop.signal);
    await eventually(() => pool.run((sql) => sql`SELECT FROM input_queue`)).toHaveLength(0);
    stop.abort();
    await working;
    expect([...(await pool.run((sql) => sql`SELECT hostname FROM host`))]).toEqual([
      { hostname: 'next' },
    ]);
  } finally {
    await writer.end();
    await listener.stop();
    await pool.end();
  }
});
