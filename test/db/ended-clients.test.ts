/** Who ends a client has ended its connections too, those under way as well: each would else be a session of nobody. */
import { once } from 'node:events';
import net from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { DeadlineError } from '../../src/db/deadline.ts';
import { openClient, type DatabaseOptions } from '../../src/db/driver.ts';
import { createPool } from '../../src/db/pool.ts';
import { openSession } from '../../src/db/session.ts';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { openGate, type Gate } from '../support/late-port.ts';

let gate: Gate;
afterEach(() => {
  gate.close();
});

/** A database that lets clients connect, and answers none of them yet. */
async function silent(): Promise<DatabaseOptions> {
  const { url } = await createTestDatabase();
  gate = await openGate(new URL(url));
  const through = Object.assign(new URL(url), { port: String(gate.port) });
  return { url: through.href, schema: 'muster', name: 'test' };
}

async function nobodyStays(but = 0): Promise<void> {
  gate.open();
  // Connections come in order: with this one, all before it have.
  await once(net.connect(gate.port).end(), 'close');
  await eventually(() => gate.held, { timeout: 3_000 }).toBe(but);
}

describe('while it connects', () => {
  it('ends a pool', async () => {
    const pool = createPool(await silent(), { role: 'test', max: 2, statementMs: 10_000 });
    const answers = [1, 2].map(() => pool.run((sql) => sql`SELECT 1`).catch((e: unknown) => e));
    await eventually(() => gate.held).toBe(2);
    await pool.end();
    expect(await Promise.all(answers)).toEqual([expect.any(Error), expect.any(Error)]);
    await nobodyStays();
  });

  it('replaces a pool that does not answer', async () => {
    // Long enough for a statement on a busy machine, once somebody answers.
    const pool = createPool(await silent(), { role: 'test', max: 1, statementMs: 1_000 });
    await expect(pool.run((sql) => sql`SELECT 1`)).rejects.toThrow(DeadlineError);
    await nobodyStays(1); // the next one, which looks for what the server kept of it
    expect([...(await pool.run((sql) => sql`SELECT 1 AS one`))]).toEqual([{ one: 1 }]);
    await pool.end();
    await nobodyStays();
  });

  it('ends a session', async () => {
    const options = { role: 'test', settings: {}, deadlineMs: 100 };
    const opening = openSession(await silent(), options);
    await expect(opening).rejects.toThrow();
    await nobodyStays();
  });

  it('ends a client whose socket is only about to connect', async () => {
    const sql = openClient(await silent(), { role: 'test', max: 1, settings: {} });
    const answer = sql`SELECT 1`.catch((e: unknown) => e);
    // The driver has asked for a socket by a timer; the one that ends it comes next.
    await Promise.resolve();
    await sql.end({ timeout: 0 });
    expect(await answer).toBeInstanceOf(Error);
    await nobodyStays();
  });
});
