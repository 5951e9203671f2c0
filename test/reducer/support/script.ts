/**
 * Scenarios: a text that says what happens, line by line, and under each line what the core made of it.
 * Lines at the margin are the script; indented lines are output, and are written anew on every run.
 *
 *     channel stable rollback finish-first max-failures=1 window=1440
 *     wave stable soak=5 web1 web2          · unstaged stable odd1 wave=1
 *     budget all max=1                      · budget web pct=50 web1 web2 · budget all max=2 again (from the next ref on)
 *     edge web2 after web1                  · channel-edge apps after infra
 *     declare 1 web1=c0                     · resign · late 1 minute=2 (signed then, read just now)
 *     forget stable (the set lacks its manifest) · drop stable (the fleet has no such channel from the next ref on)
 *     heartbeat web1 c0 names (or names=stable@9) states=2 (or states=stable@9:2) minute=1 (said then)
 *     silent web1 · offer web1
 *     event web1 ack seq=3 in=stable@1 minute=2 · bad web1 code=too-large · stranger web9 stable@1
 *     wait 5m · operator hold web1 expected=3 · takeover 40m (nobody led for so long) · lose-database · backup · restore · trust reject minute=1 (what was signed before) · retire stable@1
 *     enrol web1 nonce=n1 csr=a for=10 (minutes) · tried web1 nonce=n1 · renew web1 csr=b
 *     settings heartbeat=30 (seconds) delivered=5 offline=5 (minutes) · deaf · hearing (whether any host comes through) · presence-lost (when hosts were last heard) · show · plan · explain web1 · since web1
 */
import type { OperatorCommand, Input } from '../../../src/reducer/input.ts';
import { everyGate, explain, heldAt } from '../../../src/reducer/planner/gates.ts';
import { planPreview } from '../../../src/reducer/preview.ts';
import type { ReduceResult } from '../../../src/reducer/log.ts';
import type { Settings } from '../../../src/reducer/settings.ts';
import type { RecordRow } from '../../../src/reducer/state/rows.ts';
import { whyHost } from '../../../src/reducer/read/why.ts';
import { freshRecord } from '../../../src/reducer/state/apply.ts';
import { emptyState, type FleetState } from '../../../src/reducer/state/state.ts';
import { MINUTE, timeOf } from '../../../src/reducer/time.ts';
import { Desk, type Claimed } from './desk.ts';
import { EPOCH } from './fleet-spec.ts';
import { takenOver, type ContentInForce } from './replay.ts';
import { scriptEvent } from './script-event.ts';
import { optionsOf, ScriptFleet } from './script-fleet.ts';
import { relative, renderEntry, renderState, renderVerdict } from './script-output.ts';
import { takeover } from './world.ts';

/** Whoever watches a scenario: each input before it is reduced, and what it became. */
export interface Watcher {
  readonly before: (state: FleetState, claimed: Claimed) => void;
  readonly after: (state: FleetState, claimed: Claimed, result: ReduceResult) => void;
}

/** The text with all output written anew. */
export function runScript(text: string, watcher?: Watcher): string {
  const script = new Script(watcher);
  const out: string[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('    ')) continue;
    out.push(line);
    if (line === '' || line.startsWith('#')) continue;
    for (const row of script.run(line)) out.push(`    ${row}`);
  }
  return `${out.join('\n').trimEnd()}\n`;
}

export class Script extends Desk {
  private readonly fleet = new ScriptFleet();
  private content: ContentInForce | null = null;
  private ref = '';
  private overrides = new Map<string, string>();

  private readonly watcher: Watcher | undefined;
  private saved: { readonly state: FleetState; readonly content: ContentInForce | null } | null =
    null;

  constructor(watcher?: Watcher) {
    super(EPOCH);
    this.watcher = watcher;
  }

  protected override before(claimed: Claimed): void {
    this.watcher?.before(this.state, claimed);
  }

  override feed(input: Input): ReduceResult {
    const result = super.feed(input);
    this.watcher?.after(this.state, { input, now: this.now }, result);
    return result;
  }

  run(line: string): string[] {
    const [verb = '', ...args] = line.split(/\s+/);
    if (this.fleet.declare(verb, args)) return [];
    this.now += 1000;
    return this.look(verb, args) ?? this.happen(verb, args);
  }

  private look(verb: string, args: readonly string[]): string[] | null {
    switch (verb) {
      case 'offer':
        this.offer(args[0] ?? '');
        return [];
      case 'show':
        return renderState(this.state, args);
      case 'plan': {
        const { dispatched, blocked } = planPreview(this.state, this.now);
        const hosts = dispatched.map((d) => `dispatch ${d.hostname} ${d.rolloutId}`);
        return [
          ...hosts,
          ...blocked.map((b) => `hold ${b.hostname} ${b.rolloutId}: ${b.gates.join(' ')}`),
        ];
      }
      case 'explain':
        return this.explain(args[0] ?? '');
      case 'since':
        return this.since(args[0] ?? '');
      case 'settings':
        Object.assign(this.state, { settings: settingsOf(optionsOf(args), this.state.settings) });
        return [];
      case 'deaf':
      case 'hearing':
        this.isHearing = verb === 'hearing';
        return [];
      case 'presence-lost':
        this.heard.clear();
        return [];
      case 'backup':
        this.saved = { state: takenOver(this.state, this.content), content: this.content };
        return [];
      case 'lose-database':
        this.state = emptyState();
        return [];
      default:
        return null;
    }
  }

  private happen(verb: string, args: readonly string[]): string[] {
    if (verb === 'heartbeat' && args[0] === '*') {
      return this.fleet.allHosts().flatMap((host) => this.happen(verb, [host, ...args.slice(1)]));
    }
    if (verb === 'takeover') {
      this.now += Number.parseFloat(args[0] ?? '0') * MINUTE;
      this.state = takenOver(this.state, this.content);
    }
    if (verb === 'restore') this.restore();
    const input = this.input(verb, args[0] ?? '', args.slice(1));
    const result = this.feed(input);
    const isInForce = result.verdict.status !== 'refused';
    if (input.kind === 'ManifestSetUpdated' && isInForce) this.content = input;
    return this.render(result);
  }

  private restore(): void {
    if (this.saved === null) throw new Error('restore wants a backup');
    this.state = takenOver(this.saved.state, this.saved.content);
    this.content = this.saved.content;
    this.heard.clear();
  }

  private render({ entries, verdict }: ReduceResult): string[] {
    return [...entries.map(renderEntry), ...renderVerdict(verdict)];
  }

  private explain(hostname: string): string[] {
    return this.records(hostname).flatMap((record) => {
      const noted = this.state.rollouts.get(record.rolloutId)?.blockers.get(hostname)?.gates ?? [];
      const held = heldAt(this.state, record.rolloutId, hostname, this.now);
      const isWaiting = record.state === 'Pending' && record.closed === null && noted.length > 0;
      const gates = held === null || !isWaiting ? noted : everyGate(held, noted);
      return gates.flatMap((key) => {
        const found = explain(this.state, record, key, this.now);
        if (found === null) return [];
        const hosts = found.hosts.length === 0 ? '' : ` [${found.hosts.join(' ')}]`;
        return [
          relative(
            `${record.rolloutId} ${key}: ${found.because}${hosts}; until ${found.releasedBy}`,
          ),
        ];
      });
    });
  }

  private since(hostname: string): string[] {
    return whyHost(this.state, hostname, this.now).rollouts.flatMap(({ rollout, blockers }) =>
      blockers.map(({ key, since }) => relative(`${rollout.rolloutId} ${key}: ${since ?? '?'}`)),
    );
  }

  private input(verb: string, subject: string, words: readonly string[]): Input {
    const options = optionsOf(words);
    switch (verb) {
      case 'declare':
        this.ref = subject;
        this.overrides = options;
        return { kind: 'ManifestSetUpdated', ...this.fleet.content(subject, options, this.now) };
      case 'resign':
        return {
          kind: 'ManifestSetUpdated',
          ...this.fleet.content(this.ref, this.overrides, this.now),
        };
      case 'forget': {
        const { fleet, manifests } = this.fleet.content(this.ref, this.overrides, this.now);
        const others = manifests.filter(({ channel }) => channel !== subject);
        return { kind: 'ManifestSetUpdated', fleet, manifests: others };
      }
      case 'heartbeat':
        return this.heartbeat(subject, words, options);
      case 'event': {
        const [name = '', ...rest] = words;
        this.hear(subject);
        const record = this.record(subject, options.get('in'));
        const event = scriptEvent(
          name,
          rest.filter((w) => !w.includes('=')),
          options,
          record,
          then(options, this.now),
        );
        return { kind: 'AgentEvent', hostname: subject, rolloutId: record.rolloutId, event };
      }
      case 'bad': {
        const { rolloutId, lastEventSeq } = this.record(subject, options.get('in'));
        const code = refusedAtTheEdge(options.get('code'));
        const refused = { code, detail: 'event: no time', excerpt: '{}' };
        return {
          kind: 'RefusedEvent',
          hostname: subject,
          rolloutId,
          seq: lastEventSeq + 1,
          ...refused,
        };
      }
      case 'wait':
        this.now += Number.parseFloat(subject) * MINUTE;
        return { kind: 'Tick', hearing: this.isHearing };
      default:
        return this.seldom(verb, subject, words, options);
    }
  }

  private seldom(
    verb: string,
    subject: string,
    words: readonly string[],
    options: ReadonlyMap<string, string>,
  ): Input {
    const at = timeOf(this.now);
    switch (verb) {
      case 'silent': {
        const hosts = [subject, ...words].map((hostname) => ({ hostname, lastHeardAt: null }));
        return { kind: 'HostsUnreachable', observedAt: at, hosts };
      }
      case 'takeover':
        return takeover(1);
      case 'restore':
        return { ...takeover(1), otherDatabase: true };
      case 'stranger': {
        const rolloutId = words[0] ?? '';
        const event = scriptEvent(
          'ack',
          [],
          new Map(),
          freshRecord(rolloutId, '', [subject, 0, ''], 0),
          at,
        );
        return { kind: 'AgentEvent', hostname: subject, rolloutId, event };
      }
      case 'late': {
        const signedAt = EPOCH + Number(options.get('minute')) * MINUTE;
        return { kind: 'ManifestSetUpdated', ...this.fleet.content(subject, new Map(), signedAt) };
      }
      case 'enrol':
        return {
          ...{ kind: 'EnrolmentRequested', hostname: subject, ...this.request(options) },
          tokenExpiresAt: timeOf(this.now + Number(options.get('for') ?? 60) * MINUTE),
          nonceExpiresAt: timeOf(this.now + 60 * MINUTE),
        };
      case 'tried': {
        const { nonce, keyFingerprint } = this.request(options);
        const said = { code: 'fingerprint-mismatch', detail: 'another key' };
        return { kind: 'EnrolmentRefused', hostname: subject, nonce, keyFingerprint, ...said };
      }
      case 'renew': {
        const { nonce: _, ...request } = this.request(options);
        return {
          ...{ kind: 'CertificateRenewed', hostname: subject, ...request },
          previousKeyFingerprint: 'key-before',
        };
      }
      case 'trust':
        return {
          kind: 'TrustChanged',
          rejectBefore: subject === 'reject' ? then(options, this.now) : null,
        };
      case 'retire':
        return { kind: 'RetentionExpired', rolloutId: subject };
      case 'operator': {
        const command = commandOf(subject, words[0] ?? '', words[1] ?? '');
        const expected = options.get('expected');
        const expectedSeq = expected === undefined ? null : Number(expected);
        return { kind: 'OperatorCommand', actor: 'ada', reason: 'because', expectedSeq, command };
      }
      default:
        throw new Error(`nothing is called ${verb}`);
    }
  }

  private request(options: ReadonlyMap<string, string>) {
    const csr = options.get('csr') ?? 'a';
    return {
      ...{ nonce: options.get('nonce') ?? 'n1', csrHash: csr, keyFingerprint: `key-${csr}` },
      certificate: {
        serial: `0${String(this.now - EPOCH)}`,
        notBefore: timeOf(this.now),
        notAfter: timeOf(this.now + 30 * 24 * 60 * MINUTE),
      },
    };
  }

  private heartbeat(
    hostname: string,
    words: readonly string[],
    options: ReadonlyMap<string, string>,
  ): Input {
    this.hear(hostname);
    const names = options.get('names');
    const newestOf = (): string => this.record(hostname, undefined).rolloutId;
    const named = names === undefined ? null : names.includes('@') ? names : newestOf();
    const stated = options.get('states');
    const newest = this.records(hostname)[0]?.rolloutId;
    return {
      ...{
        kind: 'HostReport',
        hostname,
        at: then(options, this.now),
        agentVersion: null,
        rolloutId: named,
      },
      currentClosure: words[0] === '-' ? null : (words[0] ?? null),
      lastEventSeqByRollout: stated === undefined ? {} : seqsOf(stated, newest),
    };
  }

  /** The host's record in this rollout; in its newest when none is named. */
  private record(hostname: string, rolloutId: string | undefined): RecordRow {
    const found = this.records(hostname).find(
      (r) => rolloutId === undefined || r.rolloutId === rolloutId,
    );
    if (found === undefined)
      throw new Error(`${hostname} has no record in ${rolloutId ?? 'any rollout'}`);
    return found;
  }
}

function settingsOf(options: ReadonlyMap<string, string>, before: Settings): Settings {
  const given = (name: string, known: number) => Number(options.get(name) ?? known);
  return {
    ...before,
    heartbeatSeconds: given('heartbeat', before.heartbeatSeconds),
    deliveredGraceMinutes: given('delivered', before.deliveredGraceMinutes),
    offlineGraceMinutes: given('offline', before.offlineGraceMinutes),
  };
}

/** `4`: in its newest rollout; `stable@1:4`: in that one. */
/** What `minute=` says, or now. */
function then(options: ReadonlyMap<string, string>, now: number): string {
  const minute = options.get('minute');
  return timeOf(minute === undefined ? now : EPOCH + Number(minute) * MINUTE);
}

function seqsOf(stated: string, newest: string | undefined): Readonly<Record<string, number>> {
  const [, id = newest, seq = ''] = /^(?:(.+):)?(\d+)$/.exec(stated) ?? [];
  return id === undefined ? {} : { [id]: Number(seq) };
}

function refusedAtTheEdge(code: string | undefined): 'malformed' | 'unknown-kind' | 'too-large' {
  return code === 'unknown-kind' || code === 'too-large' ? code : 'malformed';
}

function commandOf(name: string, subject: string, closure: string): OperatorCommand {
  switch (name) {
    case 'pause':
      return subject === ''
        ? { command: 'PauseFleet' }
        : { command: 'PauseChannel', channel: subject };
    case 'resume':
      return subject === ''
        ? { command: 'ResumeFleet' }
        : { command: 'ResumeChannel', channel: subject };
    case 'cancel':
      return { command: 'CancelRollout', rolloutId: subject };
    case 'clear':
      return { command: 'ClearRollout', rolloutId: subject };
    case 'clear-quarantine':
      return { command: 'ClearQuarantine', channel: subject, closure };
    case 'hold':
      return { command: 'HoldHost', hostname: subject };
    case 'release':
      return { command: 'ReleaseHost', hostname: subject };
    case 'withdraw':
      return { command: 'WithdrawDispatch', hostname: subject };
    case 'write-off':
      return { command: 'WriteOffHost', hostname: subject };
    default:
      throw new Error(`no command is called ${name}`);
  }
}
