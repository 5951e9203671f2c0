/** `muster rollout …`: what is rolled out, where it stands and why, and how to stop it. */
import {
  LifecycleSchema,
  RolloutHostsSchema,
  RolloutListSchema,
  type Lifecycle,
  type RolloutHosts,
  type RolloutList,
} from '../../wire/operator.ts';
import type { LogEvent } from '../../wire/log-event.ts';
import { ROLLOUT_STATE_NAMES } from '../../wire/states.ts';
import { PlanSchema, RolloutBlockersSchema, type RolloutBlockers } from '../../wire/why.ts';
import { EXIT } from '../io.ts';
import { printObject, textOption, type Desk, type OperatorNoun } from './command.ts';
import { waitingBehind } from './channels.ts';
import type { Client } from './client.ts';
import { commandVerb } from './commanding.ts';
import { jsonList } from './json-list.ts';
import { list, listOptions, mostOf, walk, type ReadPage } from './listing.ts';
import { rowOptions, showRows } from './log-rows.ts';
import { mustBeChannel } from './names.ts';
import { pathOf, rolloutId } from './paths.ts';
import { age, counts, idCell, some, tableWriter, toneOf, unnamed, type Row } from './show.ts';
import { eventLine, wholeOf } from './events.ts';
import { WATCH } from './watch.ts';
import { waveLines } from './waves.ts';

const ROLLOUT = ['rollout'];
/** A screen; and of a small rollout's rows all. */
const USUAL = 20;
const USUAL_ROWS = 200;

export const ROLLOUTS: OperatorNoun = {
  noun: 'rollout',
  about:
    'one channel at one ref. ROLLOUT is its id (the beginning of its ref will do), or a channel: its newest',
  verbs: [
    {
      verb: 'list',
      args: [],
      about: 'Rollouts, newest first',
      options: {
        channel: { value: 'NAME', about: 'of this channel only' },
        state: {
          ...{ value: 'STATE', choices: ROLLOUT_STATE_NAMES },
          about: 'in this state only, such as Active',
        },
        ...listOptions(USUAL),
      },
      examples: [
        'muster rollout list',
        'muster rollout list --channel stable --state Failed --json',
      ],
      run: rollouts,
    },
    {
      verb: 'show',
      args: ROLLOUT,
      about: 'Where it stands, wave by wave, and what holds its hosts',
      options: { hosts: { about: 'with every host' } },
      examples: ['muster rollout show stable', 'muster rollout show stable@0388fb62 --hosts'],
      run: show,
    },
    WATCH,
    {
      verb: 'trace',
      args: ROLLOUT,
      about: 'Its rows of the log in order, each below what caused it',
      options: rowOptions('limit', USUAL_ROWS),
      examples: ['muster rollout trace stable', 'muster rollout trace stable --limit 20 --json'],
      run: trace,
    },
    {
      verb: 'plan',
      args: ROLLOUT,
      about: 'What would be dispatched now, and what would hold every other host',
      options: {},
      examples: ['muster rollout plan stable'],
      run: plan,
    },
    commandVerb({
      ...{ verb: 'cancel', command: 'CancelRollout', args: ROLLOUT },
      example: 'muster rollout cancel stable@0388fb62',
    }),
    commandVerb({
      ...{ verb: 'clear', command: 'ClearRollout', args: ROLLOUT },
      example: 'muster rollout clear stable',
    }),
  ],
};

function rollouts(desk: Desk): Promise<number> {
  const { client, now } = desk;
  const channel = textOption(desk, 'channel');
  const filter = { hosts: 'false', channel, state: textOption(desk, 'state') };
  return list<ListedRollout>(desk, {
    ...{ name: 'rollouts', usual: USUAL, none: 'no rollout is like that' },
    heads: ['STATE', 'WAVE', 'AGE', 'ROLLOUT'],
    row: (one) => rowOf(one, now()),
    ifNone: () => mustBeChannel(client, channel),
    async read(page) {
      const found = await client.get(RolloutListSchema, '/v1/rollouts', { ...filter, ...page });
      return { rows: found.rollouts, nextCursor: found.nextCursor };
    },
  });
}

type ListedRollout = RolloutList['rollouts'][number];

function rowOf(one: ListedRollout, now: number): Row {
  return [
    { text: one.state, tone: toneOf(one.state) },
    `${String(one.currentWave)} of 0–${String(one.waves - 1)}`,
    age(one.createdAt, now),
    idCell(one.rolloutId),
  ];
}

async function show(desk: Desk): Promise<number> {
  const { client, options } = desk;
  const id = await rolloutId(client, desk.args['rollout'] ?? '');
  const [life, why, waits] = await Promise.all([
    client.get(LifecycleSchema, pathOf('rollouts', id, 'lifecycle')),
    client.get(RolloutBlockersSchema, pathOf('rollouts', id, 'blockers')),
    desk.json ? null : waitingBehind(client, id),
  ]);
  const hosts = options['hosts'] === true ? walk(hostsOf(client, id)) : null;
  if (desk.json) {
    if (hosts === null) printObject(desk, { ...life, why });
    else {
      const json = jsonList(desk.io, 'hosts', { ...life, why });
      for await (const { rows } of hosts) json.add(rows);
      json.end();
    }
    return EXIT.ok;
  }
  printLife(desk, life);
  if (waits !== null) desk.io.stdout.write(`${waits}\n`);
  printWhy(desk, why);
  if (hosts !== null) {
    const write = tableWriter(['WAVE', 'STATE', 'HELD', 'HOST'], desk);
    desk.io.stdout.write('\n');
    for await (const { rows } of hosts) desk.io.stdout.write(write(rows.map(hostRow)));
  }
  return EXIT.ok;
}

type RolloutHost = RolloutHosts['hosts'][number];

function hostsOf(client: Client, id: string): ReadPage<RolloutHost> {
  return async (page) => {
    const query = { all: 'true', ...page };
    const found = await client.get(RolloutHostsSchema, pathOf('rollouts', id, 'hosts'), query);
    return { rows: found.hosts, nextCursor: found.nextCursor };
  };
}

function hostRow({ host, wave, state, closed, blocked }: RolloutHost): Row {
  return [
    String(wave),
    { text: closed ?? state, tone: toneOf(closed ?? state) },
    blocked ? { text: 'blocked', tone: 'warn' } : '-',
    host,
  ];
}

function printLife(desk: Desk, life: Lifecycle): void {
  const { io, paint, now } = desk;
  const { rolloutId: id, state, openedAt, exceptions } = life;
  io.stdout.write(
    `${paint('bold', id)}  ${paint(toneOf(state), state)}  opened ${age(openedAt, now())} ago\n`,
  );
  if (life.supersededBy !== undefined) io.stdout.write(`superseded by ${life.supersededBy}\n`);
  if (exceptions !== undefined && Object.keys(exceptions).length > 0) {
    io.stdout.write(`tolerated: ${counts(exceptions)}\n`);
  }
  for (const line of waveLines(desk, life)) io.stdout.write(`${line}\n`);
}

function printWhy({ io, paint, now }: Desk, why: RolloutBlockers): void {
  for (const { key, because, releasedBy, since } of why.rollout) {
    io.stdout.write(
      `${paint('bad', key)}  since ${age(since, now())}: ${because}\n    released when: ${releasedBy}\n`,
    );
  }
  for (const { key, held, because, releasedBy, hosts: behind, total, since } of why.hosts) {
    io.stdout.write(
      `${paint('warn', key)}  holds ${some(held, 'host')}, since ${age(since, now())}: ${because}\n    released when: ${releasedBy}\n`,
    );
    for (const { hostname, doing } of behind.slice(0, 5)) {
      io.stdout.write(`    ${hostname}  ${paint('dim', doing)}\n`);
    }
    io.stdout.write(unnamed(total, Math.min(5, behind.length)));
  }
}

async function trace(desk: Desk): Promise<number> {
  const rollout = await rolloutId(desk.client, desk.args['rollout'] ?? '');
  const depths = new Map<number, number>();
  const line = (event: LogEvent): string => eventLine(desk, event, indent(depths, event));
  const filter = { rollout, ...wholeOf(desk) };
  await showRows(desk, filter, mostOf(desk, 'limit', USUAL_ROWS), line);
  return EXIT.ok;
}

/** Causes further back than this are rare; a rollout of 100,000 hosts has a million rows. */
const MOST_DEPTHS = 100_000;

/** How deep a row stands below the first cause that is shown. */
function indent(depths: Map<number, number>, { seq, causedBy }: LogEvent): number {
  const above = causedBy === undefined ? undefined : depths.get(causedBy);
  const depth = above === undefined ? 0 : above + 1;
  depths.set(seq, depth);
  const [oldest] = depths.size > MOST_DEPTHS ? depths.keys() : [];
  if (oldest !== undefined) depths.delete(oldest);
  return depth;
}

async function plan(desk: Desk): Promise<number> {
  const { client, io, paint } = desk;
  const id = await rolloutId(client, desk.args['rollout'] ?? '');
  const found = await client.get(PlanSchema, pathOf('rollouts', id, 'plan'));
  if (desk.json) {
    printObject(desk, found);
    return EXIT.ok;
  }
  const { dispatched, blocked, rollout = [] } = found;
  io.stdout.write(`${paint('bold', id)}  ${found.rolloutState}\n`);
  if (rollout.length > 0)
    io.stdout.write(`does not get on as a whole: ${paint('bad', rollout.join(' '))}\n`);
  io.stdout.write(`would be dispatched now: ${String(dispatched.total)}\n`);
  for (const host of dispatched.hosts) io.stdout.write(`  ${host}\n`);
  for (const { gates, held, examples } of blocked) {
    const named = examples.slice(0, 5);
    const more = held > named.length ? ', …' : '';
    io.stdout.write(
      `held by ${paint('warn', gates.join(' '))}: ${String(held)} (${named.join(', ')}${more})\n`,
    );
  }
  return EXIT.ok;
}
