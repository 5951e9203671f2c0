/**
 * The world around the core in a property test: it turns actions into inputs, against the state that is there.
 */
import type { ContentInForce } from './replay.ts';
import { contentOf, EPOCH, hostsOf, refOf, type FleetSpec } from './fleet-spec.ts';
import { makeEvent, nextEvent, operatorCommand, type Action } from './actions.ts';
import { Desk, type Claimed } from './desk.ts';
import type { Input, LeadershipInput } from '../../../src/reducer/input.ts';
import type { RecordRow } from '../../../src/reducer/state/rows.ts';
import { MINUTE, timeOf, type Millis } from '../../../src/reducer/time.ts';

type Watch = (world: World, claimed: Claimed) => void;

export class World extends Desk {
  private number = 0;
  private signedAt: Millis = EPOCH;
  private readonly hosts: readonly string[];
  private readonly spec: FleetSpec;
  private readonly watch: Watch | undefined;

  constructor(spec: FleetSpec, watch?: Watch) {
    super(EPOCH);
    this.spec = spec;
    this.hosts = hostsOf(spec);
    this.watch = watch;
    this.feed({ kind: 'ManifestSetUpdated', ...contentOf(spec, 0, this.now) });
    for (const hostname of this.hosts) this.feed(this.report(hostname, 'before', false, null));
  }

  protected override before(claimed: Claimed): void {
    this.watch?.(this, claimed);
  }

  get content(): ContentInForce {
    return contentOf(this.spec, this.number, this.signedAt);
  }

  act(action: Action): void {
    this.now += 1000;
    const input = this.inputOf(action);
    if (input !== null) this.feed(input);
  }

  private host(index: number): string {
    return this.hosts[index % this.hosts.length] ?? 'a0';
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
        return { kind: 'Tick', hearing: this.isHearing };
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
      case 'hearing':
        this.isHearing = action.is;
        return null;
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
    this.hear(hostname);
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
    this.hear(hostname);
    const seqs = this.records(hostname).map((r) => [r.rolloutId, r.lastEventSeq + 1] as const);
    return {
      ...{ kind: 'HostReport', hostname, at: timeOf(this.now), currentClosure },
      ...{ rolloutId: named?.rolloutId ?? null, agentVersion: null },
      lastEventSeqByRollout: states ? Object.fromEntries(seqs) : {},
    };
  }
}

export function takeover(epoch: number): LeadershipInput {
  return { kind: 'LeaderStarted', epoch, holder: 'me', version: '1', incarnation: 'i1' };
}
