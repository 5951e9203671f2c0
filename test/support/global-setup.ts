/** Starts the run's database server, makes its template database, and takes all away at the end. */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import postgres from 'postgres';
import type { TestProject } from 'vitest/node';
import { startWatchdog } from '../../src/cli/dev/postgres-watchdog.ts';
import { startTestServer } from './server.ts';
import { fillTemplate } from './template.ts';

type Teardown = () => Promise<void>;

declare module 'vitest' {
  interface ProvidedContext {
    /** What createTestDatabase needs; absent in a run of unit tests only. */
    testDatabases?: { readonly serverUrl: string; readonly prefix: string };
    scratchDir: string;
  }
}

export default async function setup(root: TestProject): Promise<Teardown> {
  const removeScratch = makeScratch(root);
  if (root.vitest.projects.every((project) => project.name === 'unit')) return removeScratch;
  try {
    const removeServer = await makeServer(root);
    return async () => {
      await removeServer();
      await removeScratch();
    };
  } catch (error) {
    await removeScratch();
    throw error;
  }
}

function makeScratch(root: TestProject): Teardown {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'muster-test-'));
  const watchdog = startWatchdog(dir);
  chmodSync(dir, 0o755);
  root.provide('scratchDir', dir);
  return () => {
    rmSync(dir, { recursive: true, force: true });
    watchdog.release();
    return Promise.resolve();
  };
}

async function makeServer(root: TestProject): Promise<Teardown> {
  const server = await startTestServer(root.getProvidedContext().scratchDir);
  console.log(`test database: ${server.about}`);
  // Several runs may share a server: the prefix tells their databases apart.
  const prefix = `muster_test_${randomBytes(4).toString('hex')}`;
  const sql = postgres(server.url, { max: 1, onnotice: () => undefined });
  const teardown = async (): Promise<void> => {
    await dropAll(sql, prefix);
    await sql.end();
    await server.stop();
  };
  try {
    await sql`create database ${sql(`${prefix}_template`)}`;
    const url = new URL(server.url);
    url.pathname = `/${prefix}_template`;
    await fillTemplate(url.href);
  } catch (error) {
    await teardown();
    throw error;
  }
  root.provide('testDatabases', { serverUrl: server.url, prefix });
  return teardown;
}

/** Test files drop their own; this is for the template and for files that were cut off. */
async function dropAll(sql: postgres.Sql, prefix: string): Promise<void> {
  const found = await sql<{ datname: string }[]>`
    select datname from pg_database where starts_with(datname, ${prefix})`;
  for (const { datname } of found) await sql`drop database ${sql(datname)} with (force)`;
}
