/** Loaded before each test file: after its last hook, what the file made goes away. */
import { afterAll } from 'vitest';
import { dropTestDatabases } from './database.ts';
import { endProcesses } from './processes.ts';

afterAll(async () => {
  await endProcesses(); // first: they hold connections
  await dropTestDatabases();
});
