/** A dry run of a large fleet: more rows than an answer names. */
import { expect, it } from 'vitest';
import { runNoun } from '../../src/cli/operate/operate.ts';
import { fakeServer } from './fake-server.ts';

async function resumed(rows: number, total: number): Promise<readonly string[]> {
  const row = { kind: 'plan_action', payload: { v: 2, action: 'QueueDispatch' }, host: 'a' };
  const server = await fakeServer(() => ({
    ...{ status: 'preview', seqs: [], asOfSeq: 9, total },
    rows: Array.from({ length: rows }, () => row),
  }));
  let said = '';
  const io = { stdout: { write: (text: string) => (said += text) }, stderr: { write: () => true } };
  const args = ['resume', 'stable', '-r', 'x', '--dry-run'];
  const code = await runNoun('channel', args, io, { MUSTER_URL: server.url });
  server.close();
  expect(code).toBe(0);
  return said.trimEnd().split('\n');
}

it('says how many rows it does not name', async () => {
  const lines = await resumed(200, 295);
  expect(lines[0]).toBe('dry run: nothing happened; it would write 295 log rows:');
  expect([lines.length, lines.at(-1)]).toEqual([202, '  And 95 more.']);
});

it('says nothing below all of them', async () => {
  expect(await resumed(3, 3)).toHaveLength(4);
});
