/** What is said of more hosts than are looked at says whose sentence it is. */
import { expect, it } from 'vitest';
import { whyRollout } from '../../src/reducer/read/why.ts';
import { Script } from './support/script.ts';

/** Why the hosts of a wave of 60 are not heard; of these some were, once. */
function saidOf(...heard: readonly string[]): string | undefined {
  const hosts = Array.from({ length: 60 }, (_, i) => `a${String(i)}`);
  const script = new Script();
  for (const line of ['channel a', `wave a soak=0 ${hosts.join(' ')}`, 'declare 1'])
    script.run(line);
  for (const host of heard) script.run(`heartbeat ${host} c0`);
  for (const host of heard) script.run(`silent ${host}`);
  const groups = whyRollout(script.state, 'a@1', script.now)?.hosts;
  return groups?.find(({ why }) => why.gate === 'host-unreachable')?.why.because;
}

it('where all that were looked at are held alike', () => {
  expect(saidOf()).toBe(
    'a0 and 49 others that were looked at: its agent was never heard; and 10 more',
  );
});

it('where one of them is held otherwise', () => {
  expect(saidOf('a0')).toMatch(
    /^a0: its agent fell silent: .*; a1 and 48 others that were looked at: its agent was never heard; and 10 more$/,
  );
});
