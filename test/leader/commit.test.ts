/** Which errors of a COMMIT leave open whether it happened. The fault suite shows the same on a real server. */
import postgres from 'postgres';
import { describe, expect, it } from 'vitest';
import { DeadlineError } from '../../src/db/deadline.ts';
import { SessionClosedError } from '../../src/db/errors.ts';
import { AmbiguousCommitError, finish } from '../../src/leader/commit.ts';

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
