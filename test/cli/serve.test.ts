/** `muster serve` that cannot serve ends, and says why: whoever supervises it must notice. */
import { once } from 'node:events';
import net from 'node:net';
import path from 'node:path';
import { expect, it } from 'vitest';
import { createTestDatabase } from '../support/database.ts';
import { startNode } from '../support/processes.ts';

it('ends with exit code 1 when its port is taken', async () => {
  const { url } = await createTestDatabase();
  const taken = net.createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const address = taken.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const flags = ['serve', '--roles', 'api,leader', '--listen-port', String(address.port)];
  const child = startNode([path.resolve('dist/cli/muster.js'), ...flags], {
    env: { MUSTER_DATABASE_URL: url, MUSTER_STRICT: 'false' },
  });
  let said = '';
  child.stdout.on('data', (data: Buffer) => (said += data.toString()));
  const [code] = (await once(child, 'exit')) as [number | null];
  taken.close();
  expect(code).toBe(1);
  expect(said).toMatch(/EADDRINUSE.*cannot serve; mend what the reason names/);
}, 20_000);
