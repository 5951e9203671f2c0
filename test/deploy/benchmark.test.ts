/** What benchmarks measure is an installation as the image runs it: it must start. Their numbers are nobody's business here. */
import { expect, it } from 'vitest';
import { startInstallation } from '../../bench/installation.ts';
import { chosenOf } from '../../bench/options.ts';

it('a benchmark has its installation: every role apart, ready, and nothing of it is left', async () => {
  const processes = ['api', 'leader,workers'];
  const installation = await startInstallation({ hosts: ['web-01'], processes });
  try {
    expect(installation.ports).toHaveLength(1);
    expect(installation.pids).toHaveLength(2);
    const [row] = await installation.sql<{ n: number }[]>`
      SELECT count(*)::int AS n FROM event_log WHERE kind = 'manifest_set'`;
    expect(row?.n).toBe(1);
  } finally {
    await installation.close();
  }
  for (const pid of installation.pids) expect(() => process.kill(pid, 0)).toThrow('ESRCH');
});

it('is asked for by names that there are', () => {
  const all = ['closed-16', 'open-100'];
  expect(chosenOf(all, { only: [] })).toEqual(all);
  expect(chosenOf(all, { only: ['open-100'] })).toEqual(['open-100']);
  expect(() => chosenOf(all, { only: ['nope'] })).toThrow(
    /no "nope": --only takes closed-16, open-100/,
  );
});
