/**
 * Somebody who opens a transaction, looks at every table that Muster writes, and goes home: for the whole run a
 * snapshot holds back vacuum, and his locks are those of any reader. When the server throws him out he does it again.
 */
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';

export interface ForgetfulDba {
  close(): Promise<void>;
}

const AGAIN_MS = 200;

export function startForgetfulDba(url: () => URL, schema: string): ForgetfulDba {
  const leaving = new AbortController();
  const staying = stay(url, schema, leaving.signal);
  return {
    async close() {
      leaving.abort();
      await staying;
    },
  };
}

async function stay(url: () => URL, schema: string, leaving: AbortSignal): Promise<void> {
  while (!leaving.aborted) {
    const gone = new AbortController();
    const sql = postgres(url().href, {
      max: 1,
      max_lifetime: null,
      onnotice: () => undefined,
      onclose: () => {
        gone.abort();
      },
      connection: { search_path: schema, application_name: 'bench:dba' },
    });
    try {
      await sql.unsafe('BEGIN ISOLATION LEVEL REPEATABLE READ');
      await sql`SELECT (SELECT count(*) FROM input_queue), (SELECT count(*) FROM event_log)`;
      await delay(2 ** 31 - 1, undefined, { signal: AbortSignal.any([leaving, gone.signal]) });
    } catch {
      // Thrown out, not let in, or the end of the run.
    }
    await sql.end({ timeout: 1 });
    await delay(AGAIN_MS, undefined, { signal: leaving }).catch(() => undefined);
  }
}
