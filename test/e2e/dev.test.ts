/** \`muster dev\`, as a newcomer runs it, and with its leader killed; and what it does when told no. */
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { isJsonObject } from '../../src/wire/text.ts';
import { startNode, type TestProcess } from '../support/processes.ts';
import { makeScratchDir } from '../support/scratch.ts';

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(dir: string, ...args: string[]): TestProcess {
  const flags = ['--data-dir', dir, '--port', '0', '--soak-seconds', '1', '--json', ...args];
  return startNode(['dist/cli/muster.js', 'dev', ...flags]);
}

async function outcome(child: TestProcess): Promise<Outcome> {
  const exited = once(child, 'exit');
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  await exited;
  return { code: child.exitCode, stdout, stderr };
}

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

const TERMINAL = { rollouts: [terminal('edge', 6), terminal('stable', 18)], seqGapless: true };

test('rolls out, and again on the same data with a new ref; not two at once', async () => {
  const dir = makeScratchDir('dev');
  const first = start(dir, '--once');
  const firstEnd = outcome(first);
  await delay(1_000);
  const second = await outcome(start(dir, '--once'));
  expect(second.code).toBe(2);
  expect(second.stderr).toContain('is already running on');
  const one = await firstEnd;
  expect(one, one.stderr).toMatchObject({ code: 0 });
  expect(result(one)).toMatchObject({ ...TERMINAL, leaderEpochs: 1 });
  const two = await outcome(start(dir, '--once'));
  expect(two, two.stderr).toMatchObject({ code: 0 });
  expect(result(two)).toMatchObject(TERMINAL);
  expect(result(two)['logRows']).toBeGreaterThan(Number(result(one)['logRows']));
});

test('--chaos --tls: the leader is killed in the middle of a fleet with certificates, and nothing is lost', async () => {
  const end = await outcome(start(makeScratchDir('chaos'), '--once', '--chaos', '--tls'));
  expect(end, end.stderr).toMatchObject({ code: 0 });
  expect(end.stderr).toContain('chaos: killing serve-');
  expect(result(end)).toMatchObject({ ...TERMINAL, leaderEpochs: 2 });
});

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
  let said = '';
  dev.stderr.on('data', (data: Buffer) => {
    said += data.toString();
  });
  while (!said.includes('edge@')) await delay(50);
  const gone = once(dev, 'exit');
  dev.kill(signal);
  await gone;
  while ((await processesOf(dir)).length > 0) await delay(100);
});

/** Command lines that name the directory: replicas, fleet and PostgreSQL all do. */
async function processesOf(dir: string): Promise<string[]> {
  const { spawn } = await import('node:child_process');
  const list = spawn('ps', ['-eo', 'args='], { stdio: ['ignore', 'pipe', 'ignore'] });
  const lines = (await text(list.stdout)).split('\n');
  return lines.filter((line) => line.includes(dir));
}
