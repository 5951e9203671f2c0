/**
 * Posts a host's events in the order in which they were made, one at a time: a later one means nothing to
 * the control plane before the earlier one. What was not answered is sent again under the same seq, which
 * is free (a copy is a duplicate). What was refused for good is dropped, aloud: it would be refused again,
 * and everything behind it would wait for ever.
 */
import type { Clock, Random } from './clock.ts';
import { ended, retryDelay } from './clock.ts';
import type { ControlPlane, Delivery } from './control-plane.ts';
import type { AgentLog } from './hooks.ts';
import type { Entry, Journal } from './journal.ts';

export interface OutboxParts {
  readonly journal: Journal;
  readonly controlPlane: ControlPlane;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: AgentLog;
}

/** Runs until `signal` aborts. */
export async function runOutbox(parts: OutboxParts, signal: AbortSignal): Promise<void> {
  let attempt = 0;
  while (!signal.aborted) {
    const entry = parts.journal.unsent;
    if (entry === null) {
      await parts.journal.changed(signal);
      continue;
    }
    const delivery = await parts.controlPlane.postEvent(entry.rolloutId, entry.event, signal);
    if (delivery.kind === 'trouble' && ended(signal)) return; // our own end, not the network's
    const wait = await settle(parts, entry, delivery, attempt);
    attempt = wait === null ? 0 : attempt + 1;
    if (wait !== null) await parts.clock.sleep(wait, signal);
  }
}

/** How long to wait before the same event is sent again; null when it is done with. */
async function settle(
  parts: OutboxParts,
  entry: Entry,
  delivery: Delivery,
  attempt: number,
): Promise<number | null> {
  const about = { rolloutId: entry.rolloutId, kind: entry.event.kind, seq: entry.event.seq };
  switch (delivery.kind) {
    case 'accepted':
      await parts.journal.settle(entry, 'accepted');
      return null;
    case 'refused':
      parts.log.warn(
        { ...about, status: delivery.status, code: delivery.code, detail: delivery.detail },
        'the control plane refused an event for good; dropped',
      );
      await parts.journal.settle(entry, delivery.code);
      return null;
    case 'trouble':
      parts.log.info(
        { ...about, attempt, reason: delivery.reason },
        'an event was not accepted yet; will retry',
      );
      return Math.max(retryDelay(attempt, parts.random), delivery.retryAfterMs ?? 0);
  }
}
