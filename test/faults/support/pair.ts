/** A primary, its synchronous standby, and a replica that works on the primary. */
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startReplica, type Replica } from '../../support/installation.ts';
import { makeScratchDir } from '../../support/scratch.ts';
import { BenchDatabase } from '../suite/bench/database.ts';
import { Standby } from '../suite/bench/standby.ts';

export interface Pair {
  readonly primary: BenchDatabase;
  readonly standby: Standby;
  readonly replica: Replica;
  /** The standby gets nothing, and an impatient DBA cancels whoever waits for it. */
  hold(): void;
  release(): Promise<void>;
  /** The DBA goes; the standby still gets nothing. */
  leave(): Promise<void>;
}

/** `undo`: steps of its end, in the order of the beginning. */
export async function startPair(undo: (() => unknown)[]): Promise<Pair> {
  const dir = makeScratchDir('durable');
  const primary = await BenchDatabase.start(path.join(dir, 'primary'));
  undo.push(() => primary.close());
  await primary.migrate();
  const standby = await Standby.start(primary, path.join(dir, 'standby'), true);
  undo.push(() => standby.close());
  const dba = new AbortController();
  let cancelling: Promise<void> = Promise.resolve();
  const replica = startReplica(primary.url.href, 'a');
  const leave = async (): Promise<void> => {
    dba.abort();
    await cancelling;
  };
  const release = async (): Promise<void> => {
    await leave();
    standby.feed.heal();
  };
  undo.push(async () => {
    await release();
    await replica.stop();
  });
  const hold = (): void => {
    standby.feed.holdAll();
    cancelling = cancelWaits(primary, dba.signal);
  };
  return { primary, standby, replica, hold, leave, release };
}

async function cancelWaits({ sql }: BenchDatabase, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await sql`SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`;
    await delay(50);
  }
}
