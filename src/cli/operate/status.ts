/** `muster status`: the whole fleet on one screen. Exit code 1 when something needs a person. */
import { lockTaken } from '../../wire/lock-taken.ts';
import { RolloutListSchema } from '../../wire/operator.ts';
import {
  ChannelListSchema,
  FleetSchema,
  LeaderSchema,
  QueueSchema,
  type ChannelDetail,
  type Fleet,
  type Leader,
  type Queue,
} from '../../wire/overview.ts';
import { EXIT } from '../io.ts';
import { notesOf } from './channels.ts';
import type { Client } from './client.ts';
import { printObject, type Desk, type OperatorNoun } from './command.ts';
import { walk } from './listing.ts';
import { age, counts, idCell, some, table, toneOf, type Cell } from './show.ts';

export const STATUS: OperatorNoun = {
  noun: 'status',
  about: 'the fleet on one screen',
  verbs: [
    {
      verb: '',
      args: [],
      about: 'The fleet on one screen; with --check, exit code 1 when something needs a person',
      options: { check: { about: 'exit with 1 when there are alarms' } },
      examples: ['muster status', 'muster status --check --json | jq .alarms'],
      run: status,
    },
  ],
};

/** Three ticks without a commit: nobody leads, or the leader is stuck. */
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
/** Where one manifest is refused, so are all of its set, most often. */
const MOST_NAMED = 3;
/** As the alert MusterHostsUnreachable. */
const MANY_SILENT = 0.1;

async function status(desk: Desk): Promise<number> {
  const { client, options } = desk;
  const [fleet, leader, queue, channels, live] = await Promise.all([
    client.get(FleetSchema, '/v1/fleet'),
    client.get(LeaderSchema, '/v1/leader'),
    client.get(QueueSchema, '/v1/queue'),
    everyChannel(client),
    client.get(RolloutListSchema, '/v1/rollouts', { hosts: 'false', limit: 50 }),
  ]);
  const alarms = alarmsOf(fleet, leader, queue, channels, desk.now());
  if (desk.json) printObject(desk, { alarms, fleet, leader, queue, channels, ...live });
  else print(desk, { fleet, leader, queue, channels, alarms });
  return options['check'] === true && alarms.length > 0 ? EXIT.no : EXIT.ok;
}

async function everyChannel(client: Client): Promise<ChannelDetail[]> {
  const found: ChannelDetail[] = [];
  const pages = walk(async (page) => {
    const { channels, nextCursor } = await client.get(ChannelListSchema, '/v1/channels', {
      ...page,
    });
    return { rows: channels, nextCursor };
  });
  for await (const { rows } of pages) found.push(...rows);
  return found;
}

function alarmsOf(
  fleet: Fleet,
  leader: Leader,
  queue: Queue,
  channels: readonly ChannelDetail[],
  now: number,
): string[] {
  const alarms: string[] = [];
  if (leader.lockTakenBy !== undefined) alarms.push(lockTaken(leader.lockTakenBy));
  const silent = leader.lastCommitAgeSeconds ?? 0;
  if (silent > (leader.leading === false ? MISSED_SECS : SILENT_SECS))
    alarms.push(`no commit for ${String(Math.round(silent))} s: nobody leads`);
  if (queue.oldestSeconds > LATE_SECS) {
    alarms.push(`an input has waited for ${String(Math.round(queue.oldestSeconds))} s`);
  }
  if (queue.dead > 0) alarms.push(`${some(queue.dead, 'input')} could not be decided (dead_input)`);
  if (fleet.pause !== undefined) {
    alarms.push(`the fleet is paused by ${fleet.pause.actor}: ${fleet.pause.reason}`);
  }
  for (const { name, pause, rolloutState, note, currentRolloutId } of channels) {
    if (pause !== undefined)
      alarms.push(`channel ${name} is paused by ${pause.actor}: ${pause.reason}`);
    if (rolloutState === 'Failed' || rolloutState === 'Reverted') {
      alarms.push(
        `rollout ${currentRolloutId ?? name} is ${rolloutState}; see muster rollout show ${name}`,
      );
    }
    if (note !== undefined && note !== 'no-release') alarms.push(`channel ${name}: ${note}`);
  }
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
  alarms.push(...idleAlarms(fleet, now), ...sourceAlarms(fleet, now));
  const { unreachable = 0, ...others } = fleet.reachability;
  const all = Object.values(others).reduce((sum, n) => sum + n, unreachable);
  if (unreachable > MANY_SILENT * all)
    alarms.push(`${String(unreachable)} of ${some(all, 'host')} are not heard any more`);
  alarms.push(...quarantineAlarms(fleet));
  return alarms;
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

/** A name alone would be read as one that leads, be it dead. */
function leaderText({ holder, epoch, leading, since, lastCommitAt }: Leader, now: number): string {
  const term = `${holder}, epoch ${String(epoch)}`;
  const commit = `last commit ${age(lastCommitAt, now)} ago`;
  return leading === false
    ? `nobody leads; the last was ${term}, ${commit}`
    : `${term}, for ${age(since, now)}, ${commit}`;
}

/** Hosts by gate, and rollouts by what holds them as a whole. */
function heldBy({ blockers, rolloutBlockers = {} }: Fleet): string {
  const whole = Object.entries(rolloutBlockers).map(([why, n]) => `${why} ${some(n, 'rollout')}`);
  return [counts(blockers), ...whole].join('; ');
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

/** A closure that failed once is history until somebody declares it again. */
function quarantinesOf({ quarantines, declaredQuarantines: declared }: Fleet): string {
  const of =
    declared === undefined ? '' : `, ${declared === 0 ? 'none' : String(declared)} declared now`;
  return `${some(quarantines, 'closure')} quarantined${of}`;
}

interface Screen {
  readonly fleet: Fleet;
  readonly leader: Leader;
  readonly queue: Queue;
  readonly channels: readonly ChannelDetail[];
  readonly alarms: readonly string[];
}

function noteCell(channel: ChannelDetail): Cell {
  const notes = [...(channel.pause === undefined ? [] : ['paused']), ...notesOf(channel)];
  return notes.length === 0 ? { text: '-' } : { text: notes.join('; '), tone: 'warn' };
}

function print(desk: Desk, { fleet, leader, queue, channels, alarms }: Screen): void {
  const { io, paint, now } = desk;
  const line = (name: string, text: string): void => {
    io.stdout.write(`${paint('dim', name.padEnd(10))}${text}\n`);
  };
  line('leader', leaderText(leader, now()));
  line(
    'queue',
    `${String(queue.rows)} waiting, ${String(queue.dead)} dead; log at ${String(fleet.headSeq)}`,
  );
  line('release', `${fleet.ref ?? 'none'}, signed ${age(fleet.signedAt, now())} ago`);
  line('hosts', counts(fleet.reachability));
  line('states', counts(fleet.hosts));
  line('held by', heldBy(fleet));
  if (fleet.quarantines > 0) line('set aside', quarantinesOf(fleet));
  io.stdout.write('\n');
  const rows = channels.map((channel): (string | Cell)[] => [
    channel.name,
    { text: channel.rolloutState ?? '-', tone: toneOf(channel.rolloutState ?? '') },
    String(channel.hosts),
    noteCell(channel),
    idCell(channel.currentRolloutId),
  ]);
  io.stdout.write(table(['CHANNEL', 'ROLLOUT', 'HOSTS', 'NOTE', 'ID'], rows, desk));
  for (const alarm of alarms) io.stdout.write(`${paint('bad', '!')} ${alarm}\n`);
}
