/** `--chaos`: takes the leader away in the middle of a rollout, the hard way, once. */
import { hostStates, type Progress } from './progress.ts';
import type { Supervised } from './processes.ts';

export interface Chaos {
  /** Looks whether now is the time. */
  consider(progress: Progress): void;
  readonly hasKilled: boolean;
}

/** Late enough that much is in flight, early enough that much is still to be done. */
const AFTER_CONVERGED = 0.25;

export function killLeaderOnce(
  replicas: readonly Supervised[],
  say: (line: string) => void,
): Chaos {
  let killed = false;
  return {
    get hasKilled() {
      return killed;
    },
    consider: (progress) => {
      const leader = replicas.find((replica) => replica.name === progress.leader);
      if (killed || leader === undefined || !isMidway(progress)) return;
      killed = true;
      say(`chaos: killing ${leader.name}, which leads epoch ${progress.epoch}`);
      leader.kill9();
    },
  };
}

function isMidway(progress: Progress): boolean {
  let [hosts, converged, moving] = [0, 0, 0];
  for (const rollout of progress.rollouts) {
    const states = hostStates(rollout);
    for (const count of Object.values(states)) hosts += count;
    converged += states['Converged'] ?? 0;
    moving += (states['Activating'] ?? 0) + (states['Soaking'] ?? 0);
  }
  return moving > 0 && converged >= hosts * AFTER_CONVERGED;
}
