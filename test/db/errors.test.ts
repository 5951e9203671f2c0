/** Which refusals of a real server are about the values of one input, and which pass. */
import { expect, it } from 'vitest';
import postgres from 'postgres';
import { databaseProblem, databaseTrouble, isDataError, isPassing } from '../../src/db/errors.ts';
import { createTestDatabase } from '../support/database.ts';

const TABLES = `
  CREATE TEMP SEQUENCE ended MAXVALUE 2; SELECT nextval('ended'), nextval('ended');
  CREATE TEMP TABLE dated (n int CONSTRAINT dated_instants CHECK (n < 9), m int CONSTRAINT theirs CHECK (m < 9));
  CREATE TEMP TABLE divided (n int) PARTITION BY RANGE (n);
  CREATE TEMP TABLE indexed (text text PRIMARY KEY); INSERT INTO indexed VALUES ('once')`;
/** Digits that compress by half. */
const digits = (lines: number): string =>
  `SELECT string_agg(md5(i::text), '') FROM generate_series(1, ${String(lines)}) i`;

it.each([
  ['what is no JSON', '22P02', 'data', `SELECT '{'::json`],
  ['a NUL', '22P05', 'data', `SELECT '{"a":"\\u0000"}'::json->>'a'`],
  ['what is nested too deep', '54001', 'data', `SELECT repeat('[', 1000000)::json`],
  ['what is too large for an index', '54000', 'data', `INSERT INTO indexed ${digits(200)}`],
  ['what is far too large for one', '54000', 'data', `INSERT INTO indexed ${digits(2_000)}`],
  ['a sequence at its end', '2200H', 'ours', `SELECT nextval('ended')`],
  ['a key that is there', '23505', 'ours', `INSERT INTO indexed VALUES ('once')`],
  ['an instant that no row may hold', '23514', 'data', `INSERT INTO dated (n) VALUES (9)`],
  ['a check of somebody', '23514', 'ours', `INSERT INTO dated (m) VALUES (9)`],
  ['a partition that is not', '23514', 'ours', `INSERT INTO divided VALUES (1)`],
  ['a statement of ours', '54011', 'ours', `SELECT ${'1,'.repeat(1_664)}1`],
])('%s: %s is %s', async (_, code, kind, statement) => {
  const { url } = await createTestDatabase();
  const sql = postgres(url, { max: 1 });
  try {
    await sql.unsafe(TABLES);
    const error: unknown = await sql.unsafe(statement).catch((refusal: unknown) => refusal);
    expect(error).toMatchObject({ code });
    expect([isDataError(error), isPassing(error)]).toEqual([kind === 'data', false]);
  } finally {
    await sql.end();
  }
});

it.each(['PreCommit_Notify', 'GetNewTransactionId', 'GetNewMultiXactId'])(
  'a limit of the server, told by %s, passes',
  (routine) => {
    const error = Object.assign(Object.create(postgres.PostgresError.prototype), {
      ...{ code: '54000', routine },
    }) as postgres.PostgresError;
    expect([isDataError(error), isPassing(error)]).toEqual([false, true]);
  },
);

it('of a standby that may not read an unlogged table says what to do, as of one that takes no writes', () => {
  const said = 'cannot access temporary or unlogged relations during recovery';
  const error = Object.assign(new postgres.PostgresError(said), {
    ...{ code: '0A000', routine: 'get_relation_info', message: said },
  });
  expect(databaseTrouble(error)).toMatch(
    /^the database takes no writes \(0A000\): it is a standby/,
  );
  expect(databaseProblem(error)).toMatch(/recovery: it is a standby, .* the URL of the primary/);
});
