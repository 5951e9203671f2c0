/** That an input costs what it concerns, whatever else there is: in blocks of code, which no busy machine slows. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { BlockCounter } from './support/blocks.ts';
import { Script } from './support/script.ts';

const blocks = new BlockCounter();
beforeAll(() => blocks.start());
afterAll(() => {
  blocks.stop();
});

function played(...lines: readonly string[]): Script {
  const script = new Script();
  for (const line of lines) script.run(line);
  return script;
}

function names(prefix: string, count: number): string {
  return Array.from({ length: count }, (_, i) => `${prefix}${String(i).padStart(4, '0')}`).join(
    ' ',
  );
}

/** What the first and the second of these cost, among so many hosts of later waves. */
async function flap(later: number): Promise<readonly number[]> {
  const script = played(
    ...['channel a', 'wave a soak=60 a1 a2', `wave a soak=60 ${names('b', later)}`],
    ...['heartbeat * c0', 'declare 1', 'event a1 ack', 'event a1 completed'],
    // Twice, that every line of it was executed before.
    ...['event a1 probe http fail', 'event a1 probe http pass'],
  );
  const { length } = script.trace;
  const costs: number[] = [];
  for (const verdict of ['fail', 'pass'])
    costs.push(await blocks.count(() => void script.run(`event a1 probe http ${verdict}`)));
  const rows = script.trace.slice(length).flatMap(({ entries }) => entries);
  expect(rows.map(({ kind }) => kind)).toEqual(['agent_event', 'agent_event']);
  return costs;
}

it('a probe that fails now and then is no news to hosts that wait for their wave', async () => {
  await flap(4);
  const [few, many] = [await flap(10), await flap(400)];
  for (const [i, cost] of many.entries()) expect(cost).toBeLessThan(1.5 * (few[i] ?? 0));
});

/** What the second freed slot costs, of a share of channels of as many sizes. */
async function freed(channels: number): Promise<number> {
  const script = new Script();
  for (let c = 0; c < channels; c += 1) {
    const hosts = names(`c${String(c).padStart(2, '0')}x`, 20 + 10 * c);
    for (const line of [`channel c${String(c)}`, `wave c${String(c)} soak=0 ${hosts}`])
      script.run(line);
    script.run(`budget all pct=10 ${hosts}`);
  }
  script.run('heartbeat * c0');
  script.run('declare 1');
  let cost = 0;
  for (let i = 0; i < 2; i += 1) {
    const [id, rollout] =
      [...script.state.rollouts].find(([, one]) => one.dispatches.size > 0) ?? [];
    const [host] = rollout?.dispatches.keys() ?? [];
    for (const word of ['ack', 'completed'])
      script.run(`event ${String(host)} ${word} in=${String(id)}`);
    cost = await blocks.count(() => {
      script.run(`event ${String(host)} converged in=${String(id)}`);
    });
  }
  return cost;
}

it('a freed slot is not asked for by all who wait, whatever each may have', async () => {
  expect(await freed(20)).toBeLessThan(2 * (await freed(4)));
});
