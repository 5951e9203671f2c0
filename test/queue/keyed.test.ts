/** Commands under a key, while another database takes the place of the one that stored them. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { KeyedRequest } from '../../src/queue/keyed.ts';
import type { CommandResult } from '../../src/queue/submitter.ts';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { startReplica, type Replica } from '../support/installation.ts';
import { PAUSE } from '../support/small-fleet.ts';

let a: Replica;
beforeEach(async () => {
  const { url } = await createTestDatabase();
  a = startReplica(url, 'a');
});
afterEach(() => a.stop());

const WAIT_MS = 15_000;
const AWAY = { status: 'unavailable', why: 'database-away' };

const pause = (key: string, actor: string): KeyedRequest => ({
  ...{ key, secret: null },
  input: { ...PAUSE, actor },
});

function send(key: string, actor: string): Promise<CommandResult> {
  return a.submitter.submitKeyed(pause(key, actor), { waitMs: WAIT_MS });
}

async function stored(): Promise<{ key: string; id: number }[]> {
  return a.pool.run(
    (sql) => sql<{ key: string; id: number }[]>`SELECT key, input_id AS id FROM operator_key`,
  );
}

/** As a standby has it that received neither the key nor its input; its next input gets the same id. */
async function loseAda(): Promise<void> {
  await a.pool.run(
    (sql) => sql`
      WITH gone AS (DELETE FROM operator_key WHERE key = 'ada-1' RETURNING input_id),
        queue AS (DELETE FROM input_queue WHERE id IN (SELECT input_id FROM gone))
      SELECT setval('input_queue_ids', input_id, false) FROM gone`,
  );
}

describe('a command that waits while its database is replaced by one without it', () => {
  it('is told that it is to be sent again, and not the verdict of who has its id now', async () => {
    const ada = send('ada-1', 'ada');
    await eventually(stored).toHaveLength(1);
    const [first] = await stored();
    await loseAda();
    const bob = send('bob-1', 'bob');
    await eventually(stored).toEqual([{ key: 'bob-1', id: first?.id }]);
    await a.lead();
    expect(await bob).toMatchObject({ status: 'judged', verdict: { status: 'applied' } });
    expect(await ada).toMatchObject(AWAY);
    expect(await send('ada-1', 'ada')).toMatchObject({ status: 'judged', repeated: false });
  });

  it('does not wait for what cannot come', async () => {
    const began = performance.now();
    const ada = send('ada-1', 'ada');
    await eventually(stored).toHaveLength(1);
    await loseAda();
    expect(await ada).toMatchObject(AWAY);
    expect(performance.now() - began).toBeLessThan(WAIT_MS / 2);
  });

  it('is told nothing of another request that has its key there', async () => {
    const ada = send('ada-1', 'ada');
    await eventually(stored).toHaveLength(1);
    await loseAda();
    const bob = send('ada-1', 'bob');
    await a.lead();
    expect(await bob).toMatchObject({ status: 'judged' });
    expect(await ada).toMatchObject(AWAY);
  });

  it('is told its own verdict when it was sent again meanwhile', async () => {
    const first = send('ada-1', 'ada');
    await eventually(stored).toHaveLength(1);
    // Decided under the id that the second sending got.
    await a.pool.run(
      (sql) => sql`
        WITH moved AS (UPDATE input_queue SET id = nextval('input_queue_ids') RETURNING id)
        UPDATE operator_key SET input_id = (SELECT id FROM moved)`,
    );
    await a.lead();
    expect(await first).toMatchObject({ status: 'judged', verdict: { status: 'applied' } });
  });
});
