/** Loaded before each test file: after its last hook, what the file made goes away. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll } from 'vitest';
import { dropTestDatabases } from './database.ts';
import { endProcesses } from './processes.ts';

/** A dozen databases to drop, on a machine that others use too. */
const PATIENCE_MS = 90_000;

afterAll(async () => {
  await endProcesses(); // first: they hold connections
  await dropTestDatabases();
  await comeToRest();
}, PATIENCE_MS);

const LOOK_MS = 5;
/** What a file ended may have a little left to do. */
const LOOKS = 400;

/** Nothing of a file may be busy after it: the next file in the worker shares its thread. */
async function comeToRest(): Promise<void> {
  for (let look = 0; look < LOOKS; look += 1) {
    const before = performance.eventLoopUtilization();
    await sleep(LOOK_MS);
    if (performance.eventLoopUtilization(before).utilization < 0.9) return;
  }
  throw new Error('this file left something behind that keeps the thread busy');
}
