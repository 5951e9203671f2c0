/**
 * The leader's desk, without the leader: it looks up, under the same state, the facts that an input needs,
 * reduces it, and keeps what replicas keep beside the state: offers, and when each host was last heard.
 */
import type { Input, Observed } from '../../../src/reducer/input.ts';
import type { ReduceResult } from '../../../src/reducer/log.ts';
import { observationNeeds, reduce } from '../../../src/reducer/reduce.ts';
import type { RecordRow } from '../../../src/reducer/state/rows.ts';
import { emptyState, type FleetState } from '../../../src/reducer/state/state.ts';
import { timeOf, type Millis, type Time } from '../../../src/reducer/time.ts';

/** One input as the leader would claim it. */
export interface Claimed {
  readonly input: Input;
  readonly now: Millis;
}

export class Desk {
  state: FleetState = emptyState();
  readonly trace: (Claimed & ReduceResult)[] = [];
  now: Millis;
  /** Whether any host at all comes through to a replica. */
  protected isHearing = true;
  protected readonly heard = new Map<string, Time>();
  private readonly offers = new Map<string, { first: Time; last: Time }>();

  constructor(now: Millis) {
    this.now = now;
  }

  /** Called before each input is reduced. */
  protected before(_: Claimed): void {
    // Nothing, unless somebody watches.
  }

  feed(input: Input): ReduceResult {
    const observed = this.observe(input);
    const claimed: Claimed = {
      input: observed === null ? input : { ...input, observed },
      now: this.now,
    };
    this.before(claimed);
    const result = reduce(this.state, claimed.input, claimed.now);
    this.trace.push({ ...claimed, ...result });
    this.forgetOffers(result);
    return result;
  }

  /** The leader's look-up: offers of the dispatches in question, and when hosts were last heard. */
  private observe(input: Input): Observed | null {
    const needs = observationNeeds(this.state, input, this.now);
    if (needs === null) return null;
    const asked = (rolloutId: string, hostname: string) =>
      needs.rollouts.includes(rolloutId) || needs.hosts.includes(hostname);
    const offers: Observed['offers'][number][] = [];
    for (const [rolloutId, rollout] of this.state.rollouts) {
      for (const hostname of rollout.dispatches.keys()) {
        const offer = this.offers.get(`${rolloutId} ${hostname}`);
        if (offer === undefined || !asked(rolloutId, hostname)) continue;
        offers.push({
          rolloutId,
          hostname,
          firstOfferedAt: offer.first,
          lastOfferedAt: offer.last,
        });
      }
    }
    const heard = needs.hosts.flatMap((hostname) => {
      const at = this.heard.get(hostname);
      return at === undefined ? [] : [{ hostname, at }];
    });
    return { offers, heard };
  }

  /** Offers belong to a dispatch row: a later dispatch of the same host was never offered. */
  private forgetOffers({ entries }: ReduceResult): void {
    for (const change of entries.flatMap((entry) => entry.changes)) {
      if (change.t !== 'dispatch' || change.set !== null) continue;
      this.offers.delete(`${change.rolloutId} ${change.hostname}`);
    }
  }

  /** The host's records, newest rollout first. */
  records(hostname: string): RecordRow[] {
    const ids = [...(this.state.hosts.get(hostname)?.rollouts ?? [])];
    return ids
      .flatMap((id) => this.state.rollouts.get(id) ?? [])
      .sort((a, b) => b.row.ordinal - a.row.ordinal)
      .flatMap((rollout) => rollout.records.get(hostname) ?? []);
  }

  hear(hostname: string): void {
    this.heard.set(hostname, timeOf(this.now));
  }

  /** A replica hands the host its newest dispatch, as the protocol says. */
  offer(hostname: string): void {
    for (const { rolloutId } of this.records(hostname)) {
      const dispatch = this.state.rollouts.get(rolloutId)?.dispatches.get(hostname);
      if (dispatch === undefined) continue;
      if (dispatch.suspended) return;
      const key = `${rolloutId} ${hostname}`;
      const last = timeOf(this.now);
      this.offers.set(key, { first: this.offers.get(key)?.first ?? last, last });
      this.hear(hostname);
      return;
    }
  }
}
