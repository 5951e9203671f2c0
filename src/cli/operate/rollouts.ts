/** `muster rollout …`: what is rolled out, where it stands and why, and how to stop it. */
import {
  LifecycleSchema,
  RolloutHostsSchema,
  RolloutListSchema,
  type Lifecycle,
  type RolloutHosts,
} from '../../wire/operator.ts';
import { LogPageSchema, type LogEvent } from '../../wire/log-event.ts';
import { PlanSchema, RolloutBlockersSchema, type RolloutBlockers } from '../../wire/why.ts';
import { EXIT } from '../io.ts';
import { numberOption, printObject, textOption, type Desk, type OperatorNoun } from './command.ts';
import type { Client } from './client.ts';
import { commandVerb } from './commanding.ts';
import { pathOf, rolloutId } from './paths.ts';
import { age, counts, table, toneOf, unnamed, type Cell } from './show.ts';
import { eventLine, WHOLE, wholeOf } from './events.ts';
import { WATCH } from './watch.ts';
import { waveLines } from './waves.ts';

const ROLLOUT = ['rollout'];

export const ROLLOUTS: OperatorNoun = {
  noun: 'rollout',
  about: 'one channel at one ref. ROLLOUT is its id, or a channel: its newest',
  verbs: [
    {
      verb: 'list',
      args: [],
      about: 'Rollouts, newest first',
      options: {
        channel: { value: 'NAME', about: 'of this channel only' },
        state: { value: 'STATE', about: 'in this state only, such as Active' },
        limit: { value: 'N', about: 'this many (default 20)' },
      },
      examples: [
        'muster rollout list',
        'muster rollout list --channel stable --state Failed --json',
      ],
      run: list,
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
      options: { limit: { value: 'N', about: 'the newest N rows (default 200)' }, ...WHOLE },
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

async function list(desk: Desk): Promise<number> {
  const { client, io, now } = desk;
  const query = {
    hosts: 'false',
    limit: numberOption(desk, 'limit', 20),
    channel: textOption(desk, 'channel'),
    state: textOption(desk, 'state'),
  };
  const found = await client.get(RolloutListSchema, '/v1/rollouts', query);
  if (desk.json) printObject(desk, found);
  else {
    const rows = found.rollouts.map((one): (string | Cell)[] => [
      { text: one.state, tone: toneOf(one.state) },
      `${String(one.currentWave)} of 0–${String(one.waves - 1)}`,
      age(one.createdAt, now()),
      one.rolloutId,
    ]);
    io.stdout.write(table(['STATE', 'WAVE', 'AGE', 'ROLLOUT'], rows, desk));
  }
  return EXIT.ok;
}

async function show(desk: Desk): Promise<number> {
  const { client, options } = desk;
  const id = await rolloutId(client, desk.args['rollout'] ?? '');
  const [life, why] = await Promise.all([
    client.get(LifecycleSchema, pathOf('rollouts', id, 'lifecycle')),
    client.get(RolloutBlockersSchema, pathOf('rollouts', id, 'blockers')),
  ]);
  const hosts = options['hosts'] === true ? await everyHost(client, id) : undefined;
  if (desk.json) printObject(desk, { ...life, why, hosts });
  else {
    printLife(desk, life);
    printWhy(desk, why);
    if (hosts !== undefined) printHosts(desk, hosts);
  }
  return EXIT.ok;
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
  for (const { because, releasedBy } of why.rollout) {
    io.stdout.write(`${paint('bad', '!')} ${because}\n    released when: ${releasedBy}\n`);
  }
  for (const { key, held, because, releasedBy, hosts: behind, total, since } of why.hosts) {
    io.stdout.write(
      `${paint('warn', key)}  holds ${String(held)}, since ${age(since, now())}: ${because}\n    released when: ${releasedBy}\n`,
    );
    for (const { hostname, doing } of behind.slice(0, 5)) {
      io.stdout.write(`    ${hostname}  ${paint('dim', doing)}\n`);
    }
    io.stdout.write(unnamed(total, Math.min(5, behind.length)));
  }
}

async function everyHost(client: Client, id: string): Promise<RolloutHosts['hosts']> {
  const found: RolloutHosts['hosts'] = [];
  let cursor: string | undefined;
  do {
    const query = { all: 'true', cursor };
    const page = await client.get(RolloutHostsSchema, pathOf('rollouts', id, 'hosts'), query);
    found.push(...page.hosts);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return found;
}

function printHosts(desk: Desk, hosts: RolloutHosts['hosts']): void {
  const rows = hosts.map(({ host, wave, state, closed, blocked }): (string | Cell)[] => [
    String(wave),
    { text: closed ?? state, tone: toneOf(closed ?? state) },
    blocked ? { text: 'blocked', tone: 'warn' } : '-',
    host,
  ]);
  desk.io.stdout.write(`\n${table(['WAVE', 'STATE', 'HELD', 'HOST'], rows, desk)}`);
}

async function trace(desk: Desk): Promise<number> {
  const { client, io } = desk;
  const id = await rolloutId(client, desk.args['rollout'] ?? '');
  const query = { rollout: id, last: numberOption(desk, 'limit', 200), ...wholeOf(desk) };
  const page = await client.get(LogPageSchema, '/v1/events', query);
  if (desk.json) printObject(desk, page.events);
  else {
    const depths = new Map<number, number>();
    for (const event of page.events) {
      io.stdout.write(eventLine(desk, event, indent(depths, event)));
    }
  }
  return EXIT.ok;
}

/** How deep a row stands below the first cause that is shown. */
function indent(depths: Map<number, number>, { seq, causedBy }: LogEvent): number {
  const above = causedBy === undefined ? undefined : depths.get(causedBy);
  const depth = above === undefined ? 0 : above + 1;
  depths.set(seq, depth);
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
  const { dispatched, blocked } = found;
  io.stdout.write(`${paint('bold', id)}  ${found.rolloutState}\n`);
  io.stdout.write(`would be dispatched now: ${String(dispatched.total)}\n`);
  for (const host of dispatched.hosts) io.stdout.write(`  ${host}\n`);
  for (const { gates, held, examples } of blocked) {
    const some = examples.slice(0, 5).join(', ');
    const more = held > 5 ? ', …' : '';
    io.stdout.write(
      `held by ${paint('warn', gates.join(' '))}: ${String(held)} (${some}${more})\n`,
    );
  }
  return EXIT.ok;
}
