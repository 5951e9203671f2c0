/** `muster dev`, as a newcomer runs it, and with its leader killed. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { isJsonObject } from '../../src/wire/text.ts';
import { eventually } from '../support/eventually.ts';
import { makeScratchDir } from '../support/scratch.ts';
import { outcome, start, type Outcome } from './support/muster-dev.ts';

function result({ stdout, stderr }: Outcome): Readonly<Record<string, unknown>> {
  const parsed: unknown = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? 'null');
  if (!isJsonObject(parsed)) throw new Error(`no result:\n${stdout}\n${stderr}`);
  return parsed;
}

function terminal(channel: string, hosts: number): unknown {
  return {
    rolloutId: expect.stringMatching(`^${channel}@[0-9a-f]{40}$`) as unknown,
    state: 'Terminal',
    hosts: { Converged: hosts },
  };
}

/** Of the sample fleet. */
const HOSTS = 24;
const TERMINAL = { rollouts: [terminal('edge', 6), terminal('stable', 18)], seqGapless: true };

test('rolls out with certificates and its leader killed, and again on the same data without; not two at once', async () => {
  const dir = makeScratchDir('dev');
  const first = start(dir, '--once', '--chaos', '--tls');
  const firstEnd = outcome(first);
  await eventually(() => existsSync(path.join(dir, 'dev.lock'))).toBe(true);
  const second = await outcome(start(dir, '--once'));
  expect(second.code).toBe(2);
  expect(second.stderr).toContain('is already running on');
  const one = await firstEnd;
  expect(one, one.stderr).toMatchObject({ code: 0 });
  expect(one.stderr).toContain('chaos: killing serve-');
  expect(result(one)).toMatchObject({ ...TERMINAL, leaderEpochs: 2 });
  const two = await outcome(start(dir, '--once'));
  expect(two, two.stderr).toMatchObject({ code: 0 });
  expect(result(two)).toMatchObject(TERMINAL);
  // docs/guides/sizing.md reckons with sixteen; few hosts share fewer decisions of gates.
  const rows = Number(result(two)['logRows']) - Number(result(one)['logRows']);
  expect(rows / HOSTS).toBeGreaterThan(12);
  expect(rows / HOSTS).toBeLessThan(20);
});
