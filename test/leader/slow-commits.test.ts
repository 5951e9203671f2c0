/** A disk or a standby that takes long to commit: what waits meanwhile goes together. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createTestDatabase } from '../support/database.ts';
import { commitNo, startReplica, type Replica } from '../support/installation.ts';
import { declareFleet, heartbeat } from '../support/small-fleet.ts';
import type { StoredInput } from '../../src/wire/input.ts';

const HOSTS = 30;

let replica: Replica;
beforeEach(async () => {
  replica = startReplica((await createTestDatabase()).url, 'a');
});
afterEach(() => replica.stop());

const submit = (input: StoredInput, waitMs = 20_000) => replica.submitter.submit(input, { waitMs });

/** Each commit of the leader takes this long from now on. */
async function slowDown(seconds: number): Promise<void> {
  await replica.pool.run(async (sql) => {
    await sql.unsafe(`
      CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_sleep(${String(seconds)}); RETURN NULL; END $$`);
    await sql`
      CREATE CONSTRAINT TRIGGER slow AFTER UPDATE ON leader_progress
      DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()`;
  });
}

const moved = (hostname: string): StoredInput => ({
  ...{ kind: 'HostReport', hostname, at: '2026-05-16T01:27:01.000Z', currentClosure: 'other' },
  ...{ rolloutId: null, agentVersion: null, lastEventSeqByRollout: {} },
});

it('waiting for the commit before is not taken for work, which would end the batch', async () => {
  const { hosts, input } = await declareFleet(replica.pool, HOSTS, 'abc3');
  await replica.lead();
  await submit(input);
  await Promise.all(hosts.map((host) => submit(heartbeat(host))));
  await submit({ kind: 'Tick' });
  const granted = await replica.pool.run((sql) => sql`SELECT FROM dispatch`);
  expect(granted).toHaveLength(HOSTS);
  await slowDown(0.4);
  const before = await commitNo(replica.pool);
  await submit(moved('ahead'), 0);
  // Claimed while that commits; each is looked up with the offers of its host, once the commit before is through.
  await Promise.all(hosts.map((host) => submit(moved(host))));
  // One each, and that of the first, if it were.
  expect((await commitNo(replica.pool)) - before).toBeLessThan(HOSTS);
});
