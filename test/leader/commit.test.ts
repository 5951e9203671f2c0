/** Which errors of a COMMIT leave open whether it happened. The fault suite shows the same on a real server. */
import postgres from 'postgres';
import { describe, expect, it } from 'vitest';
import { DeadlineError } from '../../src/db/deadline.ts';
import { SessionClosedError } from '../../src/db/errors.ts';
import type { Deadline } from '../../src/db/deadline.ts';
import {
  AmbiguousCommitError,
  finish,
  sendWork,
  WRITE_DEADLINE_MS,
} from '../../src/leader/commit.ts';
import { emptyWork } from '../../src/leader/work.ts';
import { NOTHING_TOUCHED } from '../support/touched.ts';

const serverError = (code: string): Error =>
  Object.assign(new postgres.PostgresError(code), { code, message: code });

const finishWith = (error: Error): Promise<void> => finish({ run: () => Promise.reject(error) });

describe('a COMMIT that fails', () => {
  it.each([
    serverError('57P01'),
    serverError('08006'),
    Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }),
    Object.assign(new Error('closed'), { code: 'CONNECTION_CLOSED' }),
    new DeadlineError('late'),
    new SessionClosedError('over'),
  ])('is ambiguous after $message', async (error) => {
    await expect(finishWith(error)).rejects.toThrow(AmbiguousCommitError);
  });

  it.each([
    serverError('40001'),
    serverError('23505'),
    new Error('the transaction was rolled back'),
  ])('is no commit after $message', async (error) => {
    await expect(finishWith(error)).rejects.toBe(error);
  });
});

it('a batch has as long as its bytes take over the slowest link, beside what the database takes', async () => {
  const writer = {
    sentBytes: 1_000,
    deadline: 0 as Deadline | undefined,
    run: <T>(_: unknown, deadline?: Deadline): Promise<T> => {
      writer.deadline = deadline;
      return Promise.resolve() as Promise<T>;
    },
  };
  const progress = { epoch: 1, incarnation: 'i', commitNo: 1, headSeq: 1, nextDueAt: null };
  await sendWork(writer, Promise.resolve(), emptyWork(), NOTHING_TOUCHED, progress);
  const { deadline } = writer;
  if (typeof deadline !== 'function') throw new Error('the deadline does not grow');
  expect(deadline()).toBe(WRITE_DEADLINE_MS);
  writer.sentBytes += 14_000_000;
  expect(deadline()).toBe(WRITE_DEADLINE_MS + 56_000);
});
