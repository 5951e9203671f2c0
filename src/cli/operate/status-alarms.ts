/** What of a fleet waits for a person, one sentence each: what the chart's alerts tell those who have Prometheus. */
import { lockTaken, NOBODY_WORKS } from '../../wire/lock-taken.ts';
import type { ChannelDetail, Fleet, Leader, Queue } from '../../wire/overview.ts';
import { age, some } from './show.ts';

/** Three ticks without a commit: no ticks come, or the leader is stuck. */
const SILENT_SECS = 45;
/** A tick and five seconds: with the lock free so long it was no handover. */
const MISSED_SECS = 20;
/** Far beyond what a handover leaves behind. */
const LATE_SECS = 30;

/** What waits for a person, as the chart's alerts have it; other gates open by themselves. */
const ALARMING = [
  ['unreachable-move', 'unreachable in mid-switch'],
  ['dispatch-refused', 'heard, and does not take its dispatch'],
  ['stuck-move', 'heard, and says nothing of its move'],
  ['rollback-failed', 'failed to roll back'],
  ['manifest-stale', 'held by a manifest that is too old'],
  ['manifest-rejected', 'held by a manifest that the trust file rejects'],
] as const;
/** As the alert MusterRolloutStuck. */
const IDLE_SECS = 3_600;
/** As the alert MusterManifestStale. */
const STALE_SOON_SECS = 600;
/** Where one manifest is refused, so are all of its set, most often; a team's channels go together, too. */
const MOST_NAMED = 3;
/** As the alert MusterHostsUnreachable. */
const MANY_SILENT = 0.1;

export interface Standing {
  readonly fleet: Fleet;
  readonly leader: Leader;
  readonly queue: Queue;
  readonly channels: readonly ChannelDetail[];
}

/** What concerns everything is first. `now`: by the control plane's clock. */
export function alarmsOf(standing: Standing, now: number): string[] {
  const { fleet, leader, queue, channels } = standing;
  return [
    ...leaderAlarms(leader),
    ...queueAlarms(queue),
    ...(fleet.pause === undefined
      ? []
      : [`the fleet is paused by ${fleet.pause.actor}: ${fleet.pause.reason}`]),
    ...channelAlarms(channels),
    ...rolloutAlarms(fleet, now),
    ...sourceAlarms(fleet, now),
    ...silenceAlarms(fleet),
    ...quarantineAlarms(fleet),
  ];
}

/** Whether that nobody works is worth a word: where nobody leads either, only once that is no handover. */
export function nobodyWorks({ working, leading, lastCommitAgeSeconds = 0 }: Leader): boolean {
  return working === false && (leading !== false || lastCommitAgeSeconds > MISSED_SECS);
}

function leaderAlarms(leader: Leader): string[] {
  const { leading, lockTakenBy, workersLockTakenBy, lastCommitAgeSeconds: silent = 0 } = leader;
  const alarms: string[] = [];
  if (lockTakenBy !== undefined) alarms.push(lockTaken('leader', lockTakenBy));
  const since = `no commit for ${String(Math.round(silent))} s`;
  if (leading === false && silent > MISSED_SECS) alarms.push(`${since}: nobody leads`);
  if (workersLockTakenBy !== undefined) alarms.push(lockTaken('workers', workersLockTakenBy));
  else if (nobodyWorks(leader)) alarms.push(NOBODY_WORKS);
  // Without ticks a leader that has nothing to decide commits nothing.
  const isStuck = leading !== false && leader.working !== false && silent > SILENT_SECS;
  if (isStuck) alarms.push(`${since}: ${leading === true ? STUCK : 'nobody leads'}`);
  return alarms;
}

const STUCK = 'a process leads, and is stuck or waits for the database; see its log';

function queueAlarms({ oldestSeconds, dead, deadLastDay = dead }: Queue): string[] {
  const alarms: string[] = [];
  if (oldestSeconds > LATE_SECS)
    alarms.push(`an input has waited for ${String(Math.round(oldestSeconds))} s`);
  if (deadLastDay > 0) {
    const n = some(deadLastDay, 'input');
    alarms.push(`${n} of the last day could not be decided (dead_input); see GET /v1/queue`);
  }
  return alarms;
}

function channelAlarms(channels: readonly ChannelDetail[]): string[] {
  const paused = channels.flatMap(({ name, pause }) =>
    pause === undefined ? [] : [`channel ${name} is paused by ${pause.actor}: ${pause.reason}`],
  );
  const halted = channels
    .filter(({ rolloutState }) => rolloutState === 'Failed' || rolloutState === 'Reverted')
    .map(
      ({ name, rolloutState = '', currentRolloutId = name }) =>
        `rollout ${currentRolloutId} is ${rolloutState}; see muster rollout show ${name}`,
    );
  return [
    ...fewOf(halted, (n) => `${some(n, 'more rollout')} Failed or Reverted`),
    ...fewOf(paused, (n) => `${some(n, 'more channel')} paused`),
    ...noteAlarms(channels),
  ];
}

function fewOf(alarms: readonly string[], rest: (n: number) => string): string[] {
  const more = alarms.length - MOST_NAMED;
  const named = alarms.slice(0, MOST_NAMED);
  return more > 0 ? [...named, `${rest(more)}; see muster channel list`] : named;
}

/** A channel that declares no release gets on with its last one by itself. */
export function isAlarming(note: string): boolean {
  return note !== 'no-release';
}

/** By note, since hundreds may have the same. */
function noteAlarms(channels: readonly ChannelDetail[]): string[] {
  const named = new Map<string, string[]>();
  for (const { name, note } of channels) {
    if (note === undefined || !isAlarming(note)) continue;
    named.set(note, [...(named.get(note) ?? []), name]);
  }
  return [...named].map(([note, names]) => {
    const more = names.length - MOST_NAMED;
    const few = names.slice(0, MOST_NAMED).join(', ');
    const which = `channel${names.length === 1 ? '' : 's'} ${few}`;
    const rest = more > 0 ? ` and ${String(more)} more` : '';
    return `${which}${rest}: ${note}; see muster channel show ${names[0] ?? ''}`;
  });
}

function rolloutAlarms(fleet: Fleet, now: number): string[] {
  const alarms: string[] = [];
  for (const reason of ['fleet-silent', 'wave-unproven']) {
    const n = fleet.rolloutBlockers?.[reason] ?? 0;
    const text = `${some(n, 'rollout')} ${n === 1 ? 'does' : 'do'} not get on as a whole: ${reason}`;
    if (n > 0) alarms.push(`${text}; see muster rollout show`);
  }
  for (const [gate, text] of ALARMING) {
    const held = fleet.blockers[gate] ?? 0;
    // One that fell silent since is counted as unreachable.
    const n = gate === 'stuck-move' ? (fleet.heardStuck ?? held) : held;
    if (n > 0) alarms.push(`${text}: ${String(n)} (${gate}); see muster rollout show`);
  }
  const late = fleet.lateSoaks ?? 0;
  if (late > 0)
    alarms.push(
      `${some(late, 'host')} ${late === 1 ? 'does' : 'do'} not get out of ${late === 1 ? 'its' : 'their'} soak (soak-overdue); see muster rollout show`,
    );
  return [...alarms, ...idleAlarms(fleet, now)];
}

function silenceAlarms({ reachability: { unreachable = 0, ...others } }: Fleet): string[] {
  const all = Object.values(others).reduce((sum, n) => sum + n, unreachable);
  if (unreachable <= MANY_SILENT * all) return [];
  return [`${String(unreachable)} of ${some(all, 'host')} are not heard any more`];
}

/** A rollout that should move by itself, and does not. */
function idleAlarms({ idle }: Fleet, now: number): string[] {
  if (idle === undefined || now - Date.parse(idle.since) <= IDLE_SECS * 1_000) return [];
  const { rolloutId, since } = idle;
  return [
    `nothing moved in ${rolloutId} for ${age(since, now)}; see muster rollout show ${rolloutId}`,
  ];
}

/** Of signed artifacts: those that are refused, and those by which no new dispatch is granted any more. */
function sourceAlarms({ refused = [], staleAt }: Fleet, now: number): string[] {
  const alarms = refused
    .slice(0, MOST_NAMED)
    .map(
      ({ artifact, reason, detail, since }) =>
        `${artifact} of the source is refused since ${age(since, now)}: ${reason}, ${detail}`,
    );
  const more = refused.length - alarms.length;
  if (more > 0) alarms.push(`${some(more, 'more artifact')} of the source refused`);
  const left = staleAt === undefined ? Infinity : (Date.parse(staleAt) - now) / 1_000;
  if (left > STALE_SOON_SECS) return alarms;
  const when =
    left > 0
      ? `goes stale in ${String(Math.ceil(left / 60))} min`
      : `is stale since ${age(staleAt, now)}`;
  return [...alarms, `the first manifest ${when}: CI has to sign again`];
}

/** Of closures that hold somebody: those that are declared, or else those that a rollout under way still waits for. */
function quarantineAlarms({ quarantines, declaredQuarantines, blockers }: Fleet): string[] {
  const declared = declaredQuarantines ?? quarantines;
  const held = blockers['quarantine'] ?? 0;
  const see = 'see muster quarantine list';
  if (declared > 0) {
    const are = declared === 1 ? 'is' : 'are';
    return [`${some(declared, 'closure')} ${are} declared and quarantined; ${see}`];
  }
  return held > 0 ? [`held by a quarantined closure: ${String(held)} (quarantine); ${see}`] : [];
}
