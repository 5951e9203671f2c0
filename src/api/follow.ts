/**
 * Wakes parked polls. A commit is announced without saying what it holds, so one query finds the hosts
 * whose dispatches are newer than the last seq seen, whatever the number of polls. Announcements are hints,
 * and some changes have no new seq (an older dispatch becomes the newest when the other is withdrawn): so
 * every now and then all dispatches in force are looked at.
 */
import { databaseProblem } from '../db/errors.ts';
import type { Clock, Logger } from '../telemetry.ts';
import type { WakeSource } from './deps.ts';
import type { Polls } from './polls.ts';

/** A lost announcement costs a host this much, once. */
const SAFETY_NET_MS = 10_000;

export interface FollowParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly wake: WakeSource;
  /** Hosts whose dispatches changed after `seq`, and the newest seq there is. */
  readonly since: (
    seq: number,
  ) => Promise<{ readonly head: number; readonly hosts: readonly string[] }>;
}

export function followDispatches(parts: FollowParts, polls: Polls): () => void {
  const { clock, log, wake, since } = parts;
  let seen = 0;
  let reading = false;
  let stopped = false;
  /** What somebody asked for and no read has begun with. */
  let wanted: 'nothing' | 'newer' | 'all' = 'nothing';

  const readOnce = async (all: boolean): Promise<void> => {
    const { head, hosts } = await since(all ? 0 : seen);
    // A head that fell means another database: the whole was read, so start from there.
    seen = all ? head : Math.max(seen, head);
    polls.wake(hosts);
  };
  const read = async (): Promise<void> => {
    if (reading) return;
    reading = true;
    let all = false;
    try {
      while (wanted !== 'nothing') {
        all = wanted === 'all';
        wanted = 'nothing';
        await readOnce(all);
      }
    } catch (error) {
      // Not now: the next announcement, or the safety net.
      if (all) wanted = 'all';
      log.debug(
        { problem: databaseProblem(error) },
        'dispatches cannot be read; the safety net tries again',
      );
    } finally {
      reading = false;
    }
  };
  const look = (all: boolean): void => {
    if (polls.parked === 0) return;
    if (all) wanted = 'all';
    else if (wanted === 'nothing') wanted = 'newer';
    read().catch(() => undefined); // it logs its own failures
  };
  const net = (): (() => void) =>
    clock.after(SAFETY_NET_MS, () => {
      look(true);
      if (!stopped) cancel = net();
    });
  let cancel = net();
  const unsubscribe = wake.subscribe(() => {
    look(false);
  });
  return () => {
    stopped = true;
    cancel();
    unsubscribe();
  };
}
