import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import postgres from 'postgres';
import { expect, test, vi } from 'vitest';
import { startEmbeddedPostgres } from '../../../src/cli/dev/embedded-postgres.ts';
import { startNode } from '../../support/processes.ts';
import { makeScratchDir } from '../../support/scratch.ts';

const parent = makeScratchDir('embedded');

async function query<T extends object>(url: string, text: string): Promise<T[]> {
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  try {
    return [...(await sql.unsafe<T[]>(text))];
  } finally {
    await sql.end();
  }
}

async function firstLine(output: Readable): Promise<string> {
  for await (const line of createInterface(output)) return line;
  throw new Error('the process said nothing');
}

test('data outlives a stop and a kill -9, on a port of choice', async () => {
  const dataDir = path.join(parent, 'kept');
  const first = await startEmbeddedPostgres({ dataDir });
  await query(first.url, 'create table kept (x int)');
  await first.kill9();
  expect(existsSync(path.join(first.clusterDir, 'postmaster.pid'))).toBe(true);

  const second = await startEmbeddedPostgres({ dataDir, port: first.port });
  expect(second.url).toBe(first.url);
  await query(second.url, 'insert into kept values (1)');
  await second.stop();

  const third = await startEmbeddedPostgres({ dataDir, settings: { work_mem: '5MB' } });
  expect(await query(third.url, 'select x from kept')).toEqual([{ x: 1 }]);
  expect(await query(third.url, 'show work_mem')).toEqual([{ work_mem: '5MB' }]);
  expect(await query(third.url, 'show fsync')).toEqual([{ fsync: 'on' }]);
  expect(await query(third.url, 'show listen_addresses')).toEqual([
    { listen_addresses: '127.0.0.1' },
  ]);
  await third.stop('immediate');
});

test('a stale lock whose process number is alive again does not stop it', async () => {
  const dataDir = path.join(parent, 'stale');
  const first = await startEmbeddedPostgres({ dataDir });
  await first.kill9();
  const lock = path.join(first.clusterDir, 'postmaster.pid');
  writeFileSync(lock, readFileSync(lock, 'utf8').replace(/^\d+/, String(process.ppid)));
  const log = vi.fn<(line: string) => void>();
  const second = await startEmbeddedPostgres({ dataDir, log });
  expect(log.mock.calls.flat().join('\n')).toContain('the lock was stale');
  await second.stop();
});

test('a port in use is named, with the log', async () => {
  const server = await startEmbeddedPostgres({ dataDir: path.join(parent, 'a'), ephemeral: true });
  const again = startEmbeddedPostgres({ dataDir: path.join(parent, 'b'), port: server.port });
  await expect(again).rejects.toThrow(/port \d+[^]*Address already in use/);
  await server.stop();
  expect(existsSync(server.dataDir)).toBe(false);
});

test('when its parent is killed, the server stops and ephemeral data goes', async () => {
  const dataDir = path.join(parent, 'orphan');
  const code = `
    const { startEmbeddedPostgres } = await import('./dist/cli/dev/embedded-postgres.js');
    const server = await startEmbeddedPostgres({ dataDir: process.argv[1], ephemeral: true });
    console.log(server.url);
    setInterval(() => {}, 1000);`;
  const child = startNode(['--input-type=module', '-e', code, dataDir]);
  const url = await firstLine(child.stdout);
  expect(await query(url, 'select 1 as x')).toEqual([{ x: 1 }]);
  child.kill('SIGKILL');
  await vi.waitFor(() => {
    expect(existsSync(dataDir)).toBe(false);
  }, 10_000);
  await expect(query(url, 'select 1')).rejects.toThrow('ECONNREFUSED');
});
