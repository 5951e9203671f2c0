/**
 * The first token, when nobody can come in by HTTP yet: whoever may write to the queue of the database may do
 * anything an admin may, so the database's login is proof enough. The command goes the way of all others, through
 * the queue and the leader into the log, and the log says which login it was.
 */
import { randomUUID } from 'node:crypto';
import { databaseProblem } from '../../db/errors.ts';
import { sessionUser } from '../../db/tokens.ts';
import { createKeyedEntrance, type KeyedRequest } from '../../queue/keyed.ts';
import type { CreateToken } from '../../reducer/input.ts';
import { createMetrics, silent, systemClock } from '../../telemetry.ts';
import type { CommandAnswer } from '../../wire/command.ts';
import { askDatabase } from '../ask.ts';
import { EXIT } from '../io.ts';
import { databaseOf, type DatabaseValues } from '../log/connect.ts';
import { OperateError } from './client.ts';

export type NewToken = Omit<CreateToken, 'command'> & {
  readonly reason: string;
  /** SHA-256 of the secret, lower-case hex. */
  readonly secretHash: string;
};

/** A leader decides in milliseconds, a new one leads within two seconds. */
const WAIT_MS = 5_000;

export async function createThroughDatabase(
  { reason, secretHash, ...wanted }: NewToken,
  values: DatabaseValues,
): Promise<CommandAnswer> {
  const database = { ...databaseOf(values), name: 'muster-token' };
  const entrance = createKeyedEntrance({
    ...{ database, replica: database.name, clock: systemClock, logger: silent },
    metrics: createMetrics(),
    // Asked again every quarter of a second: enough for one command.
    listener: { on: () => () => undefined },
  });
  try {
    const user = await askDatabase(database, 'user', sessionUser);
    const input: KeyedRequest['input'] = {
      ...{ kind: 'OperatorCommand', actor: `database:${user}`, reason, expectedSeq: null },
      command: { command: 'CreateToken', ...wanted },
    };
    const secret = { tokenId: wanted.tokenId, hash: secretHash };
    return answerOf(await entrance.submit({ key: randomUUID(), input, secret }, WAIT_MS));
  } catch (error) {
    if (error instanceof OperateError) throw error;
    throw new OperateError(databaseProblem(error), EXIT.unavailable, 'database-away');
  } finally {
    await entrance.end();
  }
}

type Result = Awaited<ReturnType<ReturnType<typeof createKeyedEntrance>['submit']>>;

function answerOf(result: Result): CommandAnswer {
  if (result.status === 'queued') return { status: 'queued', seqs: [] };
  if (result.status !== 'judged') {
    const what = 'the database did not store the command; `muster doctor` says more';
    throw new OperateError(what, EXIT.unavailable, 'not-accepted');
  }
  const { verdict, seqs } = result;
  if (verdict.status === 'refused') throw new OperateError(verdict.detail, EXIT.no, verdict.code);
  return { status: 'applied', seqs: [...seqs] };
}
