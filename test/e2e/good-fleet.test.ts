/**
 * The committed fixture through two replicas, as a producer signed it.
 *
 * Its stable channel soaks for minutes, so two runs share the work: the untouched fixture goes as far as a
 * test can wait for (edge to its end; stable released by the channel edge, its first wave soaking, and the
 * others held behind it), and the same fleet, signed again by a key of the test with no soak, goes all the
 * way. What is signed in the second is the fixture but for soak minutes and dates.
 */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { auditLog, compareWithLog } from '../../src/cli/dev/audit.ts';
import { hostStates, readProgress, type Progress } from '../../src/cli/dev/progress.ts';
import { generateKey, signDirectory, trustFileFor } from '../../src/trust/sign.ts';
import { makeScratchDir } from '../support/scratch.ts';
import { startFleet, type TestFleet } from './support/fleet.ts';
import { SCHEMA, startReplicas, type Replicas } from './support/replicas.ts';

const GOOD = 'test/fixtures/good';
const REF = '0388fb626ca89a127847443989334b8c29e17567';
const IDS = [`edge@${REF}`, `stable@${REF}`];
const HOSTS = [
  ...['canary-01', 'edge-01', 'edge-02', 'db-01', 'etcd-1', 'etcd-2', 'etcd-3'],
  ...['web-01', 'web-02', 'web-03', 'web-04'],
];
/** As the fixture's own freshness windows: ten years. */
const TEN_YEARS = 5_256_000;

const undo: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

async function rollOut(source: string, trustFile: string): Promise<[Replicas, TestFleet]> {
  const flags = ['--heartbeat-seconds', '2', '--agent-freshness-minutes', String(TEN_YEARS)];
  const replicas = await startReplicas({ source, trustFile, flags });
  undo.push(() => replicas.stop());
  const options = { hosts: HOSTS, trustFile, freshnessMinutes: TEN_YEARS };
  const fleet = startFleet({ endpoint: replicas.url, ...options });
  undo.push(() => fleet.stop());
  return [replicas, fleet];
}

async function until(
  { sql }: Replicas,
  holds: (states: Record<string, string>, progress: Progress) => boolean,
): Promise<Progress> {
  for (;;) {
    const progress = await readProgress(sql, SCHEMA, IDS);
    const states = new Map(
      progress.rollouts.map(({ rolloutId, state }) => [rolloutId.split('@')[0] ?? '', state]),
    );
    if (holds(Object.fromEntries(states), progress)) return progress;
    await delay(100);
  }
}

test('as signed: edge ends Terminal, then stable begins with its first wave and no other', async () => {
  const [replicas, fleet] = await rollOut(GOOD, 'test/fixtures/trust.json');
  const progress = await until(replicas, (state, { rollouts }) => {
    const first = rollouts.find(({ rolloutId }) => rolloutId === IDS[1])?.waves[0];
    return state['edge'] === 'Terminal' && first?.states['Soaking'] === 1;
  });
  const [edge, stable] = progress.rollouts;
  if (edge === undefined || stable === undefined) throw new Error('both were opened');
  expect(hostStates(edge)).toEqual({ Converged: 3 });
  expect(hostStates(stable)).toEqual({ Soaking: 1, Pending: 7 });
  expect(stable.currentWave).toBe(0);
  const gates = stable.waiting.flatMap((waiting) =>
    waiting.gates.map((gate) => gate.split(':')[0]),
  );
  expect(gates).toContain('wave-promotion');
  expect(fleet.warnings).toEqual([]);
});

test('with no soak: both channels end Terminal, every host converged on its signed target', async () => {
  const dir = makeScratchDir('good');
  const source = path.join(dir, 'source');
  cpSync(GOOD, source, { recursive: true });
  const fleetFile = path.join(source, 'fleet.resolved.json');
  const text = readFileSync(fleetFile, 'utf8');
  writeFileSync(fleetFile, text.replaceAll(/"soakMinutes":\s*\d+/g, '"soakMinutes":0'));
  const { key } = generateKey('ed25519');
  const trustFile = path.join(dir, 'trust.json');
  writeFileSync(trustFile, trustFileFor(key));
  await signDirectory(source, key, Date.now());

  const [replicas, fleet] = await rollOut(source, trustFile);
  const progress = await until(
    replicas,
    (state) => state['edge'] === 'Terminal' && state['stable'] === 'Terminal',
  );
  expect(progress.rollouts.map(hostStates)).toEqual([{ Converged: 3 }, { Converged: 8 }]);
  await fleet.stop();
  const { sql } = replicas;
  const rows = await sql<{ hostname: string }[]>`
    SELECT hostname FROM ${sql(`${SCHEMA}.host_rollout`)} WHERE current_closure <> target_closure`;
  expect(rows).toEqual([]);
  expect(await auditLog(sql, SCHEMA)).toMatchObject({ seqGapless: true, leaderEpochs: 1 });
  const found = await compareWithLog(sql, SCHEMA, fleet.accepted(), IDS);
  expect(found).toEqual({ accepted: fleet.accepted().size, missing: [], repeated: [] });
  expect(fleet.warnings).toEqual([]);
});
