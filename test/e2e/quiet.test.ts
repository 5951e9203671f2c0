/** Logs are read when something happened: a leader and a follower with nothing to do write no line at all. */
import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { mountRelease } from '../deploy/support/release.ts';
import { SCHEMA, startReplicas } from './support/replicas.ts';

/** Five ticks a second: so many take longer than any ping or poll takes to come round (5 s). */
const TICKS = 26;

test('an idle leader and an idle follower log nothing', async () => {
  const replicas = await startReplicas({
    ...(await mountRelease('quiet')),
    flags: ['--tick-seconds', '0.2'],
  });
  const { sql } = replicas;
  const commits = async (): Promise<number> => {
    const [row] = await sql<{ n: number }[]>`
      SELECT commit_no::int AS n FROM ${sql(`${SCHEMA}.leader_progress`)}`;
    return row?.n ?? 0;
  };
  const rollouts = () => sql`SELECT FROM ${sql(`${SCHEMA}.rollout`)}`;
  await eventually(rollouts).toHaveLength(1);
  const from = await commits();
  const said = (): string[] => replicas.replicas.map((replica) => replica.log());
  const before = said();
  expect(before.join('')).toContain('leading');
  await eventually(commits, { timeout: 60_000, interval: 50 }).toBeGreaterThan(from + TICKS);
  expect(said().map((log, i) => log.slice(before[i]?.length))).toEqual(['', '']);
  await replicas.stop();
});
