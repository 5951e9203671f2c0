/** `muster status`: the whole fleet on one screen. Exit code 1 when something needs a person. */
import { RolloutListSchema } from '../../wire/operator.ts';
import {
  ChannelListSchema,
  FleetSchema,
  LeaderSchema,
  QueueSchema,
  type ChannelDetail,
  type Fleet,
  type Leader,
} from '../../wire/overview.ts';
import { clockNote } from '../../wire/server-clock.ts';
import { EXIT } from '../io.ts';
import { notesOf } from './channels.ts';
import { pause, type Client } from './client.ts';
import { printObject, type Desk, type OperatorNoun } from './command.ts';
import { walk } from './listing.ts';
import { alarmsOf, isAlarming, nobodyWorks, type Standing } from './status-alarms.ts';
import { age, counts, idCell, some, span, table, toneOf, type Cell } from './show.ts';

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

async function status(desk: Desk): Promise<number> {
  const { client, options } = desk;
  const [fleet, leader, queue, channels, live] = await Promise.all([
    client.get(FleetSchema, '/v1/fleet'),
    leaderOf(desk),
    client.get(QueueSchema, '/v1/queue'),
    everyChannel(client),
    client.get(RolloutListSchema, '/v1/rollouts', { hosts: 'false', limit: 50 }),
  ]);
  const alarms = alarmsOf({ fleet, leader, queue, channels }, desk.now());
  if (desk.json) printObject(desk, { alarms, fleet, leader, queue, channels, ...live });
  else print(desk, { fleet, leader, queue, channels, alarms });
  return options['check'] === true && alarms.length > 0 ? EXIT.no : EXIT.ok;
}

/** The workers' lock changes hands within a second or so: a moment between two of them alarms nobody. */
const HANDOVER_MS = 2_000;

async function leaderOf({ client, signal }: Desk): Promise<Leader> {
  const leader = await client.get(LeaderSchema, '/v1/leader');
  if (!nobodyWorks(leader) || leader.workersLockTakenBy !== undefined) return leader;
  await pause(HANDOVER_MS, signal);
  return client.get(LeaderSchema, '/v1/leader');
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

/** A name alone would be read as one that leads, be it dead. */
function leaderText(leader: Leader, now: number): string {
  const { holder, epoch, leading, since, lastCommitAt } = leader;
  const works = nobodyWorks(leader) ? '; nobody works' : '';
  const term = `${holder}, epoch ${String(epoch)}`;
  const commit = `last commit ${age(lastCommitAt, now)} ago`;
  return leading === false
    ? `nobody leads; the last was ${term}, ${commit}`
    : `${term}, for ${age(since, now)}, ${commit}${works}`;
}

/** Hosts by gate, and rollouts by what holds them as a whole. */
function heldBy({ blockers, rolloutBlockers = {} }: Fleet): string {
  const whole = Object.entries(rolloutBlockers).map(([why, n]) => `${why} ${some(n, 'rollout')}`);
  return [counts(blockers), ...whole].join('; ');
}

/** A closure that failed once is history until somebody declares it again. */
function quarantinesOf({ quarantines, declaredQuarantines: declared }: Fleet): string {
  const of =
    declared === undefined ? '' : `, ${declared === 0 ? 'none' : String(declared)} declared now`;
  return `${some(quarantines, 'closure')} quarantined${of}`;
}

interface Screen extends Standing {
  readonly alarms: readonly string[];
}

function noteCell(channel: ChannelDetail): Cell {
  const notes = [...(channel.pause === undefined ? [] : ['paused']), ...notesOf(channel)];
  return notes.length === 0 ? { text: '-' } : { text: notes.join('; '), tone: 'warn' };
}

/** What has room on one screen. */
const MOST_CHANNELS = 24;

/** All of them, or those that wait for somebody before others. */
function firstOf(channels: readonly ChannelDetail[]): readonly ChannelDetail[] {
  if (channels.length <= MOST_CHANNELS) return channels;
  const rest = channels.filter((channel) => !isInNeed(channel));
  return [...channels.filter(isInNeed), ...rest].slice(0, MOST_CHANNELS);
}

function isInNeed({ pause, note, rolloutState = '' }: ChannelDetail): boolean {
  const isMarked = note !== undefined && isAlarming(note);
  return pause !== undefined || isMarked || toneOf(rolloutState) === 'bad';
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
  const skew = clockNote(desk.client.clock.aheadMs(), span);
  if (skew !== null) line('clock', paint('warn', skew));
  line('hosts', counts(fleet.reachability));
  line('states', counts(fleet.hosts));
  line('held by', heldBy(fleet));
  if (fleet.quarantines > 0) line('set aside', quarantinesOf(fleet));
  io.stdout.write('\n');
  const shown = firstOf(channels);
  const rows = shown.map((channel): (string | Cell)[] => [
    channel.name,
    { text: channel.rolloutState ?? '-', tone: toneOf(channel.rolloutState ?? '') },
    String(channel.hosts),
    noteCell(channel),
    idCell(channel.currentRolloutId),
  ]);
  io.stdout.write(table(['CHANNEL', 'ROLLOUT', 'HOSTS', 'NOTE', 'ID'], rows, desk));
  const more = channels.length - shown.length;
  if (more > 0)
    io.stdout.write(
      `${paint('dim', `and ${some(more, 'more channel')}; see muster channel list`)}\n`,
    );
  for (const alarm of alarms) io.stdout.write(`${paint('bad', '!')} ${alarm}\n`);
}
