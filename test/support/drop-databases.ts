/** Loaded before each test file: drops the file's databases after its last hook. */
import { afterAll } from 'vitest';
import { dropTestDatabases } from './database.ts';

afterAll(dropTestDatabases);
