import { afterAll, beforeAll, expect, it } from 'vitest';
import { audit } from '../../src/eventlog/audit.ts';
import { createTestDatabase } from '../support/database.ts';
import { startReplica, type Replica } from '../support/installation.ts';

let a: Replica;

beforeAll(async () => {
  const { url } = await createTestDatabase();
  a = startReplica(url, 'a');
});
afterAll(() => a.stop());

it('leads, judges and logs', async () => {
  const term = await a.lead();
  expect(term.epoch).toBe(1);
  const answer = await a.submitter.submit({ kind: 'Tick' }, { waitMs: 2000 });
  expect(answer).toMatchObject({ status: 'judged', verdict: { status: 'applied' } });
  const report = await audit(a.pool.run);
  expect(report).toMatchObject({ gapless: true, brokenAt: null, unequal: [] });
  console.log(report);
});
