/** `muster migrate` against databases that are away, or do not let it in. */
import { afterAll, describe, expect, it } from 'vitest';
import type { Server } from 'node:net';
import { migrate } from '../../src/cli/migrate.ts';
import { createTestDatabase } from '../support/database.ts';
import { forward } from '../support/late-port.ts';
import { run } from './support.ts';
import { freePort } from '../../src/cli/dev/free-port.ts';

let door: Server | undefined;
afterAll(() => door?.close());

describe('muster migrate', () => {
  it('waits for a database that comes later, and says so', async () => {
    const real = new URL((await createTestDatabase()).url);
    const late = new URL(real);
    late.hostname = '127.0.0.1';
    late.port = String(await freePort());
    const said: string[] = [];
    const code = await migrate(['--database-url', late.href, '--schema', 'later', '--json'], {
      stdout: { write: (text) => said.push(text) },
      stderr: {
        write: (text) => {
          said.push(text);
          if (door === undefined) void forward(Number(late.port), real).then((at) => (door = at));
        },
      },
    });
    expect(said[0]).toMatch(/ECONNREFUSED.*start PostgreSQL.*trying again/);
    expect(JSON.parse(said.at(-1) ?? '')).toMatchObject({ ok: true, schema: 'later' });
    expect(code).toBe(0);
  });

  it('says at once what time does not mend', async () => {
    const url = new URL((await createTestDatabase()).url);
    url.pathname = '/nowhere';
    const outcome = await run(migrate, '--database-url', url.href);
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toMatch(/3D000.*create the database, or correct its name/);
    expect(outcome.stderr).not.toContain('trying again');
  });
});
