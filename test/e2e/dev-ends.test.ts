/** How `muster dev` ends when no release comes through, when it is killed, and when it is asked to stop. */
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { makeScratchDir } from '../support/scratch.ts';
import { hasSaid, outcome, start } from './support/muster-dev.ts';

test('says which rollouts and hosts are in the way when time is up', async () => {
  const end = await outcome(
    start(makeScratchDir('late'), '--once', '--soak-seconds', '600', '--timeout-seconds', '12'),
  );
  expect(end.code).toBe(1);
  expect(end.stderr).toMatch(/not Terminal: edge@[0-9a-f]{8} \w+ wave 0 of 0–1 .*wave-promotion/);
  expect(end.stderr).toMatch(/not Terminal: stable@[0-9a-f]{8} .*channel-edges/);
});

test('a failing release ends it at once, with the reason', async () => {
  const end = await outcome(start(makeScratchDir('bad'), '--once', '--fail-switch', '1'));
  expect(end.code).toBe(1);
  expect(end.stderr).toMatch(/not Terminal: edge@[0-9a-f]{8} Failed/);
});

test.each([
  ['killed', 'SIGKILL'],
  ['asked to stop', 'SIGTERM'],
] as const)('%s, it leaves no process behind', async (_, signal) => {
  const dir = makeScratchDir('stop');
  const dev = start(dir);
  await hasSaid(dev, 'edge@');
  const gone = once(dev, 'exit');
  dev.kill(signal);
  await gone;
  await eventually(() => processesOf(dir), { timeout: 60_000, interval: 100 }).toEqual([]);
});

/** Command lines that name the directory: replicas, fleet and PostgreSQL all do. */
async function processesOf(dir: string): Promise<string[]> {
  const { spawn } = await import('node:child_process');
  const list = spawn('ps', ['-eo', 'args='], { stdio: ['ignore', 'pipe', 'ignore'] });
  const lines = (await text(list.stdout)).split('\n');
  return lines.filter((line) => line.includes(dir));
}
