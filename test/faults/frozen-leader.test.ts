/**
 * A leader that is frozen (SIGSTOP: a paused VM, a stuck disk) keeps its TCP sessions. The server must take
 * its lock away, another must lead, and when it wakes up nothing that it still had in hand may count.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { developmentTrust, releaseOf } from '../../src/cli/dev/release.ts';
import { sampleFleet } from '../../src/cli/dev/sample-fleet.ts';
import { auditLog } from '../../src/cli/dev/audit.ts';
import { SCHEMA, startReplicas, type Replicas } from '../e2e/support/replicas.ts';
import { makeScratchDir } from '../support/scratch.ts';

const undo: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

/** idle_session_timeout (5 s), or a transaction left open (5 s), then an attempt and a load. */
const TAKEOVER_MS = 8_000;

async function untilEpoch({ sql }: Replicas, least: number): Promise<void> {
  for (;;) {
    const rows = await sql`SELECT 1 FROM ${sql(`${SCHEMA}.event_log`)}
      WHERE kind = 'leadership' AND epoch >= ${least}`;
    if (rows.length > 0) return;
    await delay(20);
  }
}

test('a frozen leader is replaced, and writes nothing when it wakes', async () => {
  const dir = makeScratchDir('frozen');
  const { key, trustFile } = developmentTrust(dir);
  const release = releaseOf(dir, sampleFleet(12, 'c0ffee'.padEnd(40, '0'), 60), key);
  await release.sign(Date.now());
  // Ticks ten times a second: whoever leads is always in the middle of something.
  const flags = ['--tick-seconds', '0.1'];
  const replicas = await startReplicas({ source: release.source, trustFile, flags });
  undo.push(() => replicas.stop());
  const { replica, epoch } = await replicas.leader();
  await untilEpoch(replicas, epoch);

  replica.process.kill('SIGSTOP');
  const from = Date.now();
  await untilEpoch(replicas, epoch + 1);
  expect(Date.now() - from).toBeLessThan(TAKEOVER_MS);
  replica.process.kill('SIGCONT');
  while (!replica.log().includes('no longer leading')) await delay(20);

  const { sql } = replicas;
  const log = `${SCHEMA}.event_log`;
  const [late] = await sql<{ n: number }[]>`
    SELECT count(*)::int AS n FROM ${sql(log)} WHERE epoch = ${epoch}
      AND seq > (SELECT min(seq) FROM ${sql(log)} WHERE epoch = ${epoch + 1})`;
  expect(late?.n).toBe(0);
  expect(await auditLog(sql, SCHEMA)).toMatchObject({ seqGapless: true });
});
