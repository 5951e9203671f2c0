/** What a commit writes of the derived tables fits into what a slow link carries in time. */
import { expect, it } from 'vitest';
import type { Sql } from '../../src/db/driver.ts';
import { STATEMENT_BYTES } from '../../src/db/slow-link.ts';
import { writeTouched } from '../../src/eventlog/write-tables.ts';
import type { TouchedRows } from '../../src/reducer/state/touched.ts';
import { NOTHING_TOUCHED } from '../support/touched.ts';

/** Names of the hosts in each statement that was sent, and its bytes. */
async function sent(hosts: readonly object[]): Promise<{ hosts: string[]; bytes: number }[]> {
  const statements: { hosts: string[]; bytes: number }[] = [];
  const unsafe = (text: string, [values = '[]']: string[] = []) => ({
    execute: () => {
      if (text.startsWith('SET LOCAL')) return Promise.resolve();
      const rows = JSON.parse(values) as { hostname: string }[];
      statements.push({
        hosts: rows.map(({ hostname }) => hostname),
        bytes: Buffer.byteLength(values),
      });
      return Promise.resolve({ count: rows.length });
    },
  });
  const touched = { ...NOTHING_TOUCHED, reports: hosts } as unknown as TouchedRows;
  // A template is what gives a large one its time.
  const tagged = () => ({ execute: () => Promise.resolve() });
  const sql = Object.assign(tagged, { unsafe }) as unknown as Sql;
  for (const statement of writeTouched(sql, touched)) await statement();
  return statements;
}

const NAMES = Array.from({ length: 1_000 }, (_, i) => `h${String(i)}`);

it('has few enough rows of the usual size', async () => {
  const statements = await sent(NAMES.map((hostname) => ({ hostname })));
  expect(statements.map(({ hosts }) => hosts.length)).toEqual([400, 400, 200]);
});

it('has fewer of those that have much to tell, in any writing, and all of them in order', async () => {
  const probes = { disk: '€'.repeat(10_000) };
  const statements = await sent(NAMES.slice(0, 130).map((hostname) => ({ hostname, probes })));
  expect(Math.max(...statements.map(({ bytes }) => bytes))).toBeLessThanOrEqual(STATEMENT_BYTES);
  expect(statements.flatMap(({ hosts }) => hosts)).toEqual(NAMES.slice(0, 130));
});

it('has one alone that is larger', async () => {
  const probes = { disk: 'x'.repeat(2 * STATEMENT_BYTES) };
  const statements = await sent(NAMES.slice(0, 3).map((hostname) => ({ hostname, probes })));
  expect(statements.map(({ hosts }) => hosts)).toEqual([['h0'], ['h1'], ['h2']]);
});
