/** How a scenario shows log rows, verdicts and states: short, and times as minutes since its start. */
import type { LogEntry, Verdict } from '../../../src/reducer/log.ts';
import type { RecordRow } from '../../../src/reducer/state/rows.ts';
import type { FleetState, RolloutState } from '../../../src/reducer/state/state.ts';
import { millisOf } from '../../../src/reducer/time.ts';
import { EPOCH } from './fleet-spec.ts';

/** `seq kind host rollout: facts ←cause`. */
export function renderEntry(entry: LogEntry): string {
  const { seq, kind, hostname, rolloutId, channel, causedBy, payload } = entry;
  const subject = [hostname, rolloutId ?? channel].filter((part) => part !== null).join(' ');
  const facts = Object.entries(payload).flatMap(([name, value]) => fact(name, value));
  const cause = causedBy === null ? '' : ` ←${String(causedBy)}`;
  const head = `${String(seq)} ${kind}${subject === '' ? '' : ` ${subject}`}`;
  return relative(`${head}: ${facts.join(' ')}${cause}`.replace(': ←', ' ←'));
}

const QUIET = new Set([
  'agentVersion',
  'lastEventSeqByRollout',
  'scope',
  'at',
  'fleetHash',
  'observed',
]);
const QUIET_TOO = new Set(['excerpt', 'manifests', 'settings', 'incarnation', 'holder', 'version']);

function fact(name: string, value: unknown): string[] {
  if (QUIET.has(name) || QUIET_TOO.has(name) || value === null) return [];
  if (name === 'event' && typeof value === 'object') return eventFact(value);
  if (name === 'event' && typeof value === 'string') return [value];
  return [`${name}=${plain(value)}`];
}

function eventFact(event: object): string[] {
  const kind = 'kind' in event ? plain(event.kind) : '?';
  const seq = 'seq' in event ? plain(event.seq) : '?';
  return [`${kind}#${seq}`];
}

/** JSON without its quotes. */
function plain(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value).replaceAll('"', '');
}

export function renderVerdict(verdict: Verdict): string[] {
  switch (verdict.status) {
    case 'applied':
    case 'noop':
      return [];
    case 'duplicate':
      return [`→ duplicate of #${String(verdict.lastEventSeq)}`];
    case 'refused':
      return [relative(`→ refused, ${verdict.code}: ${verdict.detail}`)];
  }
}

/** Every live rollout and its hosts, or the hosts named. */
export function renderState(state: FleetState, only: readonly string[]): string[] {
  const rollouts = [...state.live.values()].sort((a, b) => a.row.ordinal - b.row.ordinal);
  const channels = [...state.channels.values()]
    .filter(({ note, waitingRef }) => note !== null || waitingRef !== null)
    .map(
      ({ channel, note, waitingRef }) => `${channel} ${note ?? `waits with ${waitingRef ?? ''}`}`,
    );
  const quarantines = [...state.quarantines.values()].map(
    (q) => `quarantine ${q.channel} ${q.closure}`,
  );
  const enrolments = [...state.enrolments.values()].map((e) =>
    relative(
      `nonce ${e.nonce} ${e.hostname} ${e.csrHash} ${e.serial} until ${e.tokenExpiresAt}, ${String(e.refusals)} refused`,
    ),
  );
  return [
    ...rollouts.flatMap((rollout) => renderRollout(rollout, only)),
    ...channels,
    ...quarantines,
    ...enrolments,
  ];
}

function renderRollout(rollout: RolloutState, only: readonly string[]): string[] {
  const { rolloutId, state, currentWave, blockers, exceptions } = rollout.row;
  const facts = [
    `${rolloutId} ${state} wave ${String(currentWave)}`,
    ...blockers,
    ...(exceptions === null ? [] : [plain(exceptions)]),
  ];
  const hosts = [...rollout.records.values()]
    .filter(({ hostname }) => only.length === 0 || only.includes(hostname))
    .sort((a, b) => (a.hostname < b.hostname ? -1 : 1))
    .map((record) => relative(`  ${renderRecord(rollout, record)}`));
  return [facts.join(' · '), ...hosts];
}

function renderRecord(rollout: RolloutState, record: RecordRow): string {
  const { hostname, wave, state, lastEventSeq, soakDueAt, synthesised } = record;
  const dispatch = rollout.dispatches.get(hostname);
  const probes = Object.entries(record.probes).map(([name, { status }]) => `${name}:${status}`);
  const gates = rollout.blockers.get(hostname)?.gates ?? [];
  return [
    `${hostname} w${String(wave)} ${state}`,
    ...(lastEventSeq > 0 ? [`#${String(lastEventSeq)}`] : []),
    ...(dispatch === undefined ? [] : [dispatch.suspended ? 'suspended' : 'dispatched']),
    ...(record.currentClosure === null ? [] : [record.currentClosure]),
    ...(soakDueAt === null ? [] : [`soak ${soakDueAt}`]),
    ...(synthesised === null ? [] : [`synthesised:${synthesised}`]),
    ...['unchanged', 'cleared', 'stuck', 'wasOffered'].filter((flag) => isSet(record, flag)),
    ...(record.closed === null ? [] : [record.closed]),
    ...(record.contradictedBy === null ? [] : [`reports:${record.contradictedBy}`]),
    ...probes,
    ...(gates.length === 0 ? [] : [`⟂ ${gates.join(' ')}`]),
  ].join(' ');
}

function isSet(record: RecordRow, flag: string): boolean {
  return new Map<string, unknown>(Object.entries(record)).get(flag) === true;
}

/** Instants as `+5m` since the scenario's start: what matters is how far apart they are. */
export function relative(text: string): string {
  return text.replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, (time) => {
    const seconds = (millisOf(time) - EPOCH) / 1000;
    const minutes = Math.floor(seconds / 60);
    return `+${String(minutes)}m${String(Math.round(seconds % 60)).padStart(2, '0')}`;
  });
}
