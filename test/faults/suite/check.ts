/** What the log says against what everybody was told. Asked of a quiet, healed installation. */
import { audit, type Audit } from '../../../src/eventlog/audit.ts';
import type { BenchDatabase } from './bench/database.ts';
import {
  answerFaults,
  duplicatesOf,
  missingOf,
  notOvertaken,
  readBooks,
  unsentOf,
  type Book,
} from './books.ts';
import { countGaps, deadFaults, epochFaults, gapFaults, timeFaults } from './invariants.ts';
import { describe, only, toldOutside, type Attempt, type LossWindow } from './load/history.ts';

export interface Findings {
  /** Answered 2xx, and not in the log. */
  readonly lost: number;
  /** In the log more than once. */
  readonly duplicated: number;
  readonly gaps: number;
  /** Everything else that is wrong, in words; empty: nothing. */
  readonly wrong: readonly string[];
}

export interface Expectations {
  /** Inputs that were planted to die. */
  readonly dead: number;
  /** A standby lagged when it was promoted: what it lacked is lost where a later one of the same sender overtook it. */
  readonly lossWindow?: LossWindow | null;
}

export async function check(
  database: BenchDatabase,
  attempts: readonly Attempt[],
  expected: Expectations,
): Promise<Findings> {
  const { sql } = database;
  const { lossWindow = null } = expected;
  const books = await readBooks(sql, attempts);
  const lost = await lostOf(sql, attempts, books, lossWindow);
  const wrong = [
    ...told('lost', lost),
    ...told(
      'never sent',
      books.flatMap((book) => named(book, unsentOf(book))),
    ),
    ...misjudged(attempts),
    ...(lossWindow !== null ? [] : (await answerFaults(sql, attempts)).slice(0, 3)),
    ...(await logFaults(database, expected)),
  ];
  const duplicated = books.flatMap((book) => duplicatesOf(book)).length;
  return { lost: lost.length, duplicated, gaps: await countGaps(sql), wrong };
}

/** Of what was told outside the window nothing may be missing; of what was told in it, nothing that posting again brings back. */
async function lostOf(
  sql: BenchDatabase['sql'],
  attempts: readonly Attempt[],
  books: readonly Book[],
  window: LossWindow | null,
): Promise<readonly string[]> {
  if (window === null) return books.flatMap((book) => named(book, missingOf(book)));
  const outside = await readBooks(sql, toldOutside(attempts, window));
  const lost = [
    ...outside.flatMap((book) => named(book, missingOf(book))),
    ...books.flatMap((book) => named(book, notOvertaken(missingOf(book), book.logged))),
  ];
  return [...new Set(lost)];
}

function named({ what }: Book, keys: readonly string[]): readonly string[] {
  return keys.map((key) => `${what} ${key}`);
}

function told(what: string, items: readonly string[]): readonly string[] {
  return items.length === 0 ? [] : [`${what}, for instance ${items.slice(0, 3).join(', ')}`];
}

const MISFIT = 'refused; code=unknown-rollout-host';

/** Who was told another decision than must have been made of his event, or one that was not made yet. */
function misjudged(attempts: readonly Attempt[]): readonly string[] {
  const refused = only(attempts, 'event').filter(({ verdict }) => verdict !== null);
  const accepted = only(attempts, 'misfit').filter(
    ({ status, verdict }) => status === 204 && verdict !== MISFIT,
  );
  return [
    ...(refused.length === 0
      ? []
      : [`refused ${refused.length}, first ${refused[0]?.verdict ?? ''}`]),
    ...told(
      'what must be refused was not, by its answer',
      accepted.map((one) => `${describe(one)} (${one.verdict ?? 'accepted'})`),
    ),
  ];
}

/** A new leader logs when it has listened for long enough, whoever looks. */
const LOOKS = 5;

/** The log is read before the tables: a row that comes in between shows in both heads, which are of one table. */
async function auditAtRest(pool: BenchDatabase['pool']): Promise<Audit> {
  let found = await audit((read) => pool.run(read));
  for (let look = 1; look < LOOKS && found.unequal.includes('head'); look += 1)
    found = await audit((read) => pool.run(read));
  return found;
}

async function logFaults(
  { sql, pool }: BenchDatabase,
  { dead }: Expectations,
): Promise<readonly string[]> {
  const { brokenAt, unequal } = await auditAtRest(pool);
  return [
    ...(brokenAt === null ? [] : [`the chain breaks at seq ${String(brokenAt)}`]),
    ...(unequal.length === 0 ? [] : [`tables are not the fold: ${unequal.join(', ')}`]),
    ...(await gapFaults(sql)),
    ...(await epochFaults(sql)),
    ...(await timeFaults(sql)),
    ...(await deadFaults(sql, dead)),
  ];
}
