/**
 * The same `step` on both sides, asked of both: after an event the control plane's record holds what the agent's held
 * when it had made that event. That is asked of fields which the agent's events have written since it opened the
 * rollout; the others each side has from elsewhere (its own clock, a snapshot that tells not all, a heartbeat). And
 * only while the control plane has applied all of these events: one that it refused is no part of its record.
 *
 * Which policy a host follows each side reads in the set that is in force when it hears of the dispatch, or of its
 * acknowledgement. Where another came in between, or just before, they may differ, and so may what was applied.
 */
import { isDeepStrictEqual } from 'node:util';
import { recordOf, type JournalLine } from '../../src/agent/journal.ts';
import type { HealthPolicy, HostEvent } from '../../src/reducer/host/events.ts';
import type { HostRecord } from '../../src/reducer/host/record.ts';
import { step } from '../../src/reducer/host/step.ts';
import type { RecordRow } from '../../src/reducer/state/rows.ts';
import type { Millis } from '../../src/reducer/time.ts';
import { keyOf } from './tables.ts';

/** Both have these from the signed manifest, or from where they stand. */
const ALWAYS: readonly string[] = ['state', 'wave', 'channel', 'targetClosure', 'lastEventSeq'];
/** What an event leaves of these depends on what was there, and a snapshot does not tell of them. */
const SINCE_COMPLETION: readonly string[] = [
  'probes',
  'probeObservedFirstAt',
  'probeFailureFirstAt',
];

interface Made {
  /** As it crosses the wire. */
  readonly event: unknown;
  readonly record: HostRecord;
  readonly wrote: ReadonlySet<string>;
  /** The one before it; null for the first since the rollout was opened. */
  readonly before: Made | null;
}

interface Opened {
  readonly record: HostRecord;
  readonly policy: HealthPolicy;
  readonly last: Made | null;
  /** The set in force when it was opened; null: it had only just come. */
  readonly set: string | null;
}

/** An agent may have read the set before it: so long it keeps and opens what it read. */
const SETTLES_MS = 60_000;

export class Mirror {
  private set = '';
  private setAt: Millis = 0;
  /** By host and rollout: both sides read the policy in one set. */
  private readonly agreed = new Set<string>();
  private readonly opened = new Map<string, Opened>();
  private readonly made = new Map<string, Made>();
  private inLine = new Set<Made>();

  /** The set in force, as it comes. */
  prescribed(set: string, at: Millis): void {
    if (set !== this.set) this.setAt = at;
    this.set = set;
  }

  /** A line that an agent has on disk. */
  written(hostname: string, line: JournalLine, at: Millis): void {
    if (line.t === 'open') {
      const { snapshot, wave, policy } = line;
      const set = at - this.setAt > SETTLES_MS ? this.set : null;
      const record = recordOf(snapshot, wave);
      this.opened.set(keyOf(snapshot), { record, policy, last: null, set });
    } else if (line.t === 'event')
      this.make(keyOf({ rolloutId: line.rolloutId, hostname }), line.event);
  }

  private make(key: string, event: HostEvent): void {
    const opened = this.opened.get(key);
    if (opened === undefined) return;
    const { record, policy, last, set } = opened;
    const stepped = step(record, event, { onHealthFailure: policy }, 'local');
    if (!stepped.ok) return;
    const wrote = new Set(last?.wrote);
    for (const field of Object.keys(stepped.set)) {
      const isWhole = event.kind === 'ActivationCompleted' || !SINCE_COMPLETION.includes(field);
      if (isWhole) wrote.add(field);
    }
    const asSent: unknown = JSON.parse(JSON.stringify(event));
    const made = { event: asSent, record: stepped.record, wrote, before: last };
    this.opened.set(key, { record: stepped.record, policy, last: made, set });
    this.made.set(`${key} ${String(event.seq)}`, made);
  }

  /** The control plane applied this event; what its agent has then, if all before it are applied, too. */
  applied(once: string, event: unknown): Made | null {
    const made = this.made.get(once);
    if (made === undefined || !isDeepStrictEqual(made.event, event)) return null;
    if (made.before !== null && !this.inLine.has(made.before)) return null;
    this.inLine.add(made);
    return made;
  }

  /** Names of fields that should be equal and are not. */
  differences(once: string, event: { readonly kind: unknown }, row: RecordRow): string[] {
    const key = keyOf(row);
    if (event.kind === 'DispatchAck') {
      if (this.opened.get(key)?.set === this.set) this.agreed.add(key);
      else this.agreed.delete(key);
    }
    const made = this.applied(once, event);
    if (made === null) return [];
    const [has, mirrored] = [valuesOf(made.record), valuesOf(row)];
    const asked = new Set([...ALWAYS, ...made.wrote]);
    if (!this.agreed.has(key)) asked.delete('policyApplied');
    return [...asked].filter((field) => !isDeepStrictEqual(has.get(field), mirrored.get(field)));
  }

  /** The control plane forgot what it applied; of what it still has it is told again. */
  restored(): void {
    this.inLine = new Set();
    this.agreed.clear();
  }
}

function valuesOf(record: object): ReadonlyMap<string, unknown> {
  return new Map(Object.entries(record));
}
