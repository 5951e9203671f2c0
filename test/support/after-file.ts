/** Loaded before each test file: after its last hook, what the file made goes away. */
import { afterAll } from 'vitest';
import { dropTestDatabases } from './database.ts';
import { endProcesses } from './processes.ts';

/** A dozen databases to drop, on a machine that others use too. */
const PATIENCE_MS = 90_000;

afterAll(async () => {
  await endProcesses(); // first: they hold connections
  await dropTestDatabases();
}, PATIENCE_MS);
