/**
 * How long nobody leads when a leader resigns under load. A busy machine may stretch any single handover, so the
 * quickest of some is held against the design's limit: what we wait for by our own doing shows in every one. Where
 * even a single input takes long, a handover, of some ten round trips and two commits, may too.
 */
import { afterEach, expect, it } from 'vitest';
import { createTestDatabase } from '../support/database.ts';
import { startReplica, type Replica } from '../support/installation.ts';

const LIMIT_MS = 100;
const HANDOVERS = 8;
/** Seen at any load: the quickest of eight takes as long as two inputs, one after the other. */
const INPUTS_WORTH = 3;

const replicas: Replica[] = [];
afterEach(async () => {
  for (const replica of replicas.splice(0)) await replica.stop();
});

/** Inputs without a pause, each of which wakes whoever waits to lead. */
function chatter({ submitter }: Replica): () => Promise<void> {
  let silent = false;
  const talk = async (): Promise<void> => {
    while (!silent) await submitter.submit({ kind: 'Tick' }, { waitMs: 1_000 });
  };
  const talking = talk();
  return () => {
    silent = true;
    return talking;
  };
}

it('another leads within 100 ms', async () => {
  const { url } = await createTestDatabase();
  replicas.push(startReplica(url, 'a'), startReplica(url, 'b'));
  let [from, to] = replicas;
  if (from === undefined || to === undefined) throw new Error('two replicas');
  await from.lead();
  const took: number[] = [];
  const inputs: number[] = [];
  for (let i = 0; i < HANDOVERS; i += 1) {
    const next = to.lead();
    const hush = chatter(to);
    for (let judged = 0; judged < 20; judged += 1) {
      const sent = performance.now();
      await from.submitter.submit({ kind: 'Tick' }, { waitMs: 5_000 });
      inputs.push(performance.now() - sent);
    }
    const began = performance.now();
    const resigned = from.resign();
    await next;
    took.push(performance.now() - began);
    await Promise.all([resigned, hush()]);
    [from, to] = [to, from];
  }
  const usual = inputs.sort((a, b) => a - b)[inputs.length / 2] ?? 0;
  const told = `${took.map(Math.round).join(' ')}; an input takes ${usual.toFixed(1)}`;
  expect(Math.min(...took), told).toBeLessThan(Math.max(LIMIT_MS, INPUTS_WORTH * usual));
});
