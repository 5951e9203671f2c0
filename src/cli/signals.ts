/**
 * A process that is PID 1 of a container has no default action for signals: without a handler it would not even end on
 * SIGTERM, and be killed when the grace is over. Commands that stop in order have handlers of their own.
 */
import { constants } from 'node:os';

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/** Ends the process at once, with the exit code that a shell gives, unless somebody else listens for the signal, too. */
export function endOnSignals(): void {
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      if (process.listenerCount(signal) === 1) process.exit(128 + constants.signals[signal]);
    });
  }
}
