/** Who leads, and whether the queue keeps up. */
import { isStranger, lockHolders, type LockHolder } from '../../../db/lock.ts';
import { listDeadInputs, readLeader, readQueue } from '../../../db/overview.ts';
import { LeaderSchema, QueueSchema, type Leader, type Queue } from '../../../wire/overview.ts';
import type { ApiDeps } from '../../deps.ts';
import { fromDatabase, Refusal } from '../../refusal.ts';
import type { Scope } from '../../scope.ts';
import { about, OPERATOR, present } from './reading.ts';

/** More than any setting of the queue's limit; beyond it the exact number means nothing. */
const MOST_COUNTED = 100_000;
const MOST_DEAD = 20;

export function addLeadership(scope: Scope, deps: ApiDeps): void {
  const { log } = deps;
  scope.get(
    '/v1/leader',
    { config: OPERATOR, schema: about('Who leads, since when, and its last commit', LeaderSchema) },
    () => fromDatabase(log, () => leader(deps)),
  );
  scope.get(
    '/v1/queue',
    {
      config: OPERATOR,
      schema: about('What waits for the leader, and what it set aside', QueueSchema),
    },
    () => fromDatabase(log, () => queue(deps)),
  );
}

async function leader({ pool }: ApiDeps): Promise<Leader> {
  const [row, held] = await pool.run((sql) => Promise.all([readLeader(sql), lockHolders(sql)]));
  if (row === null)
    throw new Refusal('not-ready', 'no process has ever led; start one with the role leader');
  const { headSeq, lastCommitAt, lastCommitMsAgo, ...term } = row;
  return {
    ...term,
    leading: isOurs(held.leader),
    working: isOurs(held.workers),
    headSeq: headSeq ?? 0,
    ...present({
      lockTakenBy: isStranger(held.leader) ? held.leader : null,
      workersLockTakenBy: isStranger(held.workers) ? held.workers : null,
      lastCommitAt,
      lastCommitAgeSeconds: lastCommitMsAgo === null ? null : Math.max(0, lastCommitMsAgo) / 1_000,
    }),
  };
}

function isOurs(holder: LockHolder | null): boolean {
  return holder !== null && !isStranger(holder);
}

async function queue({ pool }: ApiDeps): Promise<Queue> {
  const { rows, oldestMs, dead, deadLastDay } = await pool.run((sql) =>
    readQueue(sql, MOST_COUNTED),
  );
  const latest = dead === 0 ? [] : await pool.run((sql) => listDeadInputs(sql, MOST_DEAD));
  return {
    rows,
    oldestSeconds: oldestMs / 1_000,
    dead,
    deadLastDay,
    latestDead: latest.map(({ hostname, rolloutId, ...row }) => ({
      ...row,
      ...present({ hostname, rolloutId }),
    })),
  };
}
