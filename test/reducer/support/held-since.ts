/** Since when each gate holds, read off the log row by row: `rollout host` or `rollout` → gate → time. */
import type { LogEntry } from '../../../src/reducer/log.ts';
import { timeOf, type Millis, type Time } from '../../../src/reducer/time.ts';

type Held = Map<string, Map<string, Time>>;

export function heldSince(
  trace: readonly { readonly now: Millis; readonly entries: readonly LogEntry[] }[],
): Held {
  const held: Held = new Map();
  for (const { now, entries } of trace) {
    for (const change of entries.flatMap((entry) => entry.changes)) {
      if (change.t === 'blocker') {
        for (const host of change.hosts)
          note(held, `${change.rolloutId} ${host}`, change.gates, timeOf(now));
      } else if (change.t === 'rollout' && change.set.blockers !== undefined) {
        note(held, change.rolloutId, change.set.blockers, timeOf(now));
      }
    }
  }
  return held;
}

function note(held: Held, subject: string, gates: readonly string[], at: Time): void {
  const before = held.get(subject);
  held.set(subject, new Map(gates.map((gate) => [gate, before?.get(gate) ?? at])));
}
