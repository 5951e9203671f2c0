/** Processes that are up before their schema is, or whose login lacks a right: 503 until somebody has mended it. */
import { afterEach, describe, expect, it } from 'vitest';
import { migrate } from '../../src/db/migrate.ts';
import { packagedMigrations } from '../../src/db/migration-files.ts';
import { createTestDatabase } from '../support/database.ts';
import { createRoleDatabase } from '../support/roles.ts';
import { startReplica, type Replica } from './support/fakes.ts';

let replica: Replica;
afterEach(() => replica.stop());

const beat = {
  hostname: 'web-01',
  at: '2026-05-16T01:27:01Z',
  current_closure: 'old',
  agent_version: '1',
};
const ASKED = [
  ['POST', '/v1/agent/heartbeat', 'agent:web-01', beat],
  ['GET', '/v1/agent/dispatch?wait=0', 'agent:web-01'],
  ['GET', '/v1/fleet.resolved', 'agent:web-01'],
  ['GET', '/v1/hosts', 'operator:ada'],
  ['GET', '/v1/rollouts', 'operator:ada'],
  ['GET', '/v1/events', 'operator:ada'],
] as const;

async function statuses(): Promise<string[]> {
  const said: string[] = [];
  for (const [method, url, as, payload] of ASKED) {
    const headers = { 'x-muster-dev-identity': as };
    const more = payload === undefined ? {} : { payload };
    const answer = await replica.api.app.inject({ method, url, headers, ...more });
    const { code } = JSON.parse(answer.body === '' ? '{}' : answer.body) as { code?: string };
    const again = Number(answer.headers['retry-after'] ?? 0) > 0 ? ', later' : '';
    expect(answer.body).not.toMatch(/relation|column|permission/);
    said.push(`${url} ${String(answer.statusCode)} ${code ?? ''}${again}`);
  }
  return said;
}

const away = ASKED.map(([, url]) => `${url} 503 database-away, later`);

describe('503 with Retry-After, and no fault of ours in the log', () => {
  it('while the schema is not there, and what works once it is', async () => {
    const { url } = await createTestDatabase({ empty: true });
    replica = await startReplica(url);
    expect(await statuses()).toEqual(away);
    expect(replica.logged.join('')).toContain('is at version none: run \\"muster migrate\\"');
    expect(replica.logged.join('')).not.toContain('a request failed');
    await migrate({ url, schema: 'muster', name: 'test' });
    expect(await statuses()).toContain('/v1/hosts 200 ');
  });

  it('while the schema is older than the process', async () => {
    const { url } = await createTestDatabase({ empty: true });
    const migrations = packagedMigrations().slice(0, 1);
    await migrate({ url, schema: 'muster', name: 'test' }, { migrations });
    replica = await startReplica(url);
    const said = await statuses();
    expect(said.filter((text) => text.includes(' 500 '))).toEqual([]);
    expect(said).toContain('/v1/hosts 503 database-away, later');
    expect(replica.logged.join('')).toContain('and lacks 0002_');
  });

  it('while the login lacks a right', async () => {
    const database = await createRoleDatabase();
    replica = await startReplica(database.as('readonly'));
    const said = await statuses();
    // Its presence cannot be stored, which harms nobody: a heartbeat that brings no news is answered.
    expect(said[0]).toBe('/v1/agent/heartbeat 200 ');
    expect(said.filter((text) => text.includes(' 500 '))).toEqual([]);
    expect(replica.logged.join('')).toContain('42501');
    expect(replica.logged.join('')).not.toContain('a request failed');
    await database.drop();
  });
});
