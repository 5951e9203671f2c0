/**
 * The world around the core in a property test: it turns actions into inputs, and does for each what the
 * leader does: look up, under the same state, the facts that the input needs.
 */
import type { ContentInForce } from './replay.ts';
import { contentOf, EPOCH, hostsOf, refOf, type FleetSpec } from './fleet-spec.ts';
import { makeEvent, nextEvent, operatorCommand, type Action } from './actions.ts';
import type { Input, Observed } from '../../../src/reducer/input.ts';
import { observationNeeds, reduce } from '../../../src/reducer/reduce.ts';
import type { ReduceResult } from '../../../src/reducer/log.ts';
import type { RecordRow } from '../../../src/reducer/state/rows.ts';
import { emptyState, type FleetState } from '../../../src/reducer/state/state.ts';
import { MINUTE, timeOf, type Millis, type Time } from '../../../src/reducer/time.ts';

/** One input as the leader would claim it. */
export interface Claimed {
  readonly input: Input;
  readonly now: Millis;
}

export class World {
  readonly state: FleetState = emptyState();
  readonly trace: (Claimed & ReduceResult)[] = [];
  now: Millis = EPOCH;
  private number = 0;
  private readonly hosts: readonly string[];
  private readonly offers = new Map<string, { first: Time; last: Time }>();
  private readonly heard = new Map<string, Time>();
  private readonly spec: FleetSpec;
  private readonly beforeEach: ((world: World, claimed: Claimed) => void) | undefined;

  constructor(spec: FleetSpec, beforeEach?: (world: World, claimed: Claimed) => void) {
    this.spec = spec;
    this.hosts = hostsOf(spec);
    this.beforeEach = beforeEach;
    this.feed({ kind: 'ManifestSetUpdated', ...contentOf(spec, 0, this.now) });
    for (const hostname of this.hosts) this.feed(this.report(hostname, 'before', false, null));
  }

  get content(): ContentInForce {
    return contentOf(this.spec, this.number, this.signedAt);
  }
  private signedAt: Millis = EPOCH;

  act(action: Action): void {
    this.now += 1000;
    const input = this.inputOf(action);
    if (input !== null) this.feed(input);
  }

  feed(input: Input): ReduceResult {
    const observed = this.observe(input);
    const claimed: Claimed = {
      input: observed === null ? input : { ...input, observed },
      now: this.now,
    };
    this.beforeEach?.(this, claimed);
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

  private host(index: number): string {
    return this.hosts[index % this.hosts.length] ?? 'a0';
  }

  /** The host's records, newest rollout first. */
  private records(hostname: string): RecordRow[] {
    const ids = [...(this.state.hosts.get(hostname)?.rollouts ?? [])];
    return ids
      .flatMap((id) => this.state.rollouts.get(id) ?? [])
      .sort((a, b) => b.row.ordinal - a.row.ordinal)
      .flatMap((rollout) => rollout.records.get(hostname) ?? []);
  }

  private record(hostname: string, index: number): RecordRow | null {
    const records = this.records(hostname);
    return records[Math.min(index, records.length - 1)] ?? null;
  }

  private inputOf(action: Action): Input | null {
    switch (action.do) {
      case 'event': {
        const record = this.record(this.host(action.host), action.rollout);
        if (record === null) return null;
        return this.event(record, nextEvent(record, action.luck, this.now));
      }
      case 'nonsense': {
        const record = this.record(this.host(action.host), action.rollout);
        if (record === null) return null;
        const seq = Math.max(1, record.lastEventSeq + action.skip);
        return this.event(record, makeEvent(action.kind, record, seq, action.luck, this.now));
      }
      case 'heartbeat':
        return this.heartbeat(action);
      case 'silence': {
        const hostname = this.host(action.host);
        const lastHeardAt = this.heard.get(hostname) ?? timeOf(this.now);
        const observedAt = timeOf(this.now);
        return { kind: 'HostsUnreachable', observedAt, hosts: [{ hostname, lastHeardAt }] };
      }
      case 'offer':
        this.offer(this.host(action.host));
        return null;
      case 'wait':
        this.now += action.minutes * MINUTE;
        return { kind: 'Tick' };
      default:
        return this.rarely(action);
    }
  }

  private rarely(
    action: Exclude<
      Action,
      { do: 'event' | 'nonsense' | 'heartbeat' | 'silence' | 'offer' | 'wait' }
    >,
  ): Input | null {
    switch (action.do) {
      case 'declare':
      case 'resign':
        this.number = Math.max(0, this.number + (action.do === 'declare' ? action.next : 0));
        this.signedAt = this.now;
        return { kind: 'ManifestSetUpdated', ...this.content };
      case 'trust':
        return { kind: 'TrustChanged', rejectBefore: action.reject ? timeOf(this.now) : null };
      case 'retire': {
        const ids = [...this.state.rollouts.keys()].sort();
        const rolloutId = ids[action.rollout % ids.length] ?? refOf(0);
        return { kind: 'RetentionExpired', rolloutId };
      }
      case 'malformed': {
        const hostname = this.host(action.host);
        const record = this.record(hostname, action.rollout);
        return {
          ...{ kind: 'RefusedEvent', hostname, rolloutId: record?.rolloutId ?? null },
          ...{ code: 'malformed', seq: (record?.lastEventSeq ?? 0) + 1, detail: '', excerpt: '{}' },
        };
      }
      case 'takeover':
        return takeover(this.trace.length);
      case 'operator':
        return {
          ...{ kind: 'OperatorCommand', actor: 'op', reason: 'test', expectedSeq: null },
          command: operatorCommand(
            action.command,
            this.host(action.host),
            [...this.state.rollouts.keys()].sort(),
            [...this.state.quarantines.values()],
          ),
        };
    }
  }

  private event(record: RecordRow, event: ReturnType<typeof nextEvent>): Input {
    const { hostname, rolloutId } = record;
    this.heard.set(hostname, timeOf(this.now));
    return { kind: 'AgentEvent', hostname, rolloutId, event };
  }

  private heartbeat(action: Extract<Action, { do: 'heartbeat' }>): Input {
    const hostname = this.host(action.host);
    const newest = this.record(hostname, 0);
    const reported = this.state.hosts.get(hostname)?.row.reportedClosure ?? 'before';
    const closure = {
      target: newest?.targetClosure ?? 'before',
      before: 'before',
      same: reported,
      junk: 'junk',
      nothing: null,
    }[action.runs];
    return this.report(hostname, closure, action.states, action.names ? newest : null);
  }

  private report(
    hostname: string,
    currentClosure: string | null,
    states: boolean,
    named: RecordRow | null,
  ): Input {
    this.heard.set(hostname, timeOf(this.now));
    const seqs = this.records(hostname).map((r) => [r.rolloutId, r.lastEventSeq + 1] as const);
    return {
      ...{ kind: 'HostReport', hostname, at: timeOf(this.now), currentClosure },
      ...{ rolloutId: named?.rolloutId ?? null, agentVersion: null },
      lastEventSeqByRollout: states ? Object.fromEntries(seqs) : {},
    };
  }

  /** A replica hands the host its newest dispatch, as the protocol says. */
  private offer(hostname: string): void {
    for (const { rolloutId } of this.records(hostname)) {
      const dispatch = this.state.rollouts.get(rolloutId)?.dispatches.get(hostname);
      if (dispatch === undefined) continue;
      if (dispatch.suspended) return;
      const key = `${rolloutId} ${hostname}`;
      const last = timeOf(this.now);
      this.offers.set(key, { first: this.offers.get(key)?.first ?? last, last });
      this.heard.set(hostname, last);
      return;
    }
  }
}

export function takeover(epoch: number): Input {
  return { kind: 'LeaderStarted', epoch, holder: 'me', version: '1', incarnation: 'i1' };
}
