/** `muster host …`: where a host stands, every reason for which it does not move, and how to hold or release it. */
import { HostListSchema, type HostList } from '../../wire/operator.ts';
import type { LogEvent } from '../../wire/log-event.ts';
import { LISTED_STATES, REACHABILITIES } from '../../wire/states.ts';
import { HostDetailSchema, type Blocker, type HostDetail } from '../../wire/why.ts';
import { EXIT } from '../io.ts';
import { printObject, textOption, type Desk, type OperatorNoun } from './command.ts';
import { commandVerb, type CommandVerb } from './commanding.ts';
import { eventLine, wholeOf } from './events.ts';
import { list, listOptions, mostOf } from './listing.ts';
import { rowOptions, showRows } from './log-rows.ts';
import { mustBeChannel } from './names.ts';
import { pathOf } from './paths.ts';
import { age, idCell, table, toneOf, unnamed, type Cell, type Row } from './show.ts';

const HOST = ['host'];

const verbOf = (verb: string, command: CommandVerb['command']) =>
  commandVerb({ verb, command, args: HOST, example: `muster host ${verb} web-01` });

/** Some screens. */
const USUAL = 100;
const USUAL_ROWS = 50;

export const HOSTS: OperatorNoun = {
  noun: 'host',
  about: 'one machine and its agent',
  verbs: [
    {
      verb: 'list',
      args: [],
      about: 'Hosts by name',
      options: {
        channel: { value: 'NAME', about: 'declared on this channel' },
        state: {
          ...{ value: 'STATE', choices: LISTED_STATES },
          about: 'in this state in the newest rollout of its channel; closed: nobody waits for it',
        },
        reachability: {
          ...{ value: 'HOW', choices: REACHABILITIES },
          about: 'never, reachable or unreachable',
        },
        prefix: { value: 'TEXT', about: 'whose name begins so' },
        ...listOptions(USUAL),
      },
      examples: ['muster host list --state Failed', 'muster host list --prefix web- --json'],
      run: hosts,
    },
    {
      verb: 'show',
      args: HOST,
      about: 'Where it stands in each of its rollouts',
      options: {},
      examples: ['muster host show web-01'],
      run: show,
    },
    {
      verb: 'explain',
      args: HOST,
      about:
        'Every reason for which it does not move, with numbers and hosts; exit code 1 when there is one',
      options: {},
      examples: ['muster host explain web-01', 'muster host explain web-01 --json | jq .[].gate'],
      run: explain,
    },
    {
      verb: 'history',
      args: HOST,
      about: 'What the log says of it, with decisions about many hosts and pauses, oldest first',
      options: rowOptions('limit', USUAL_ROWS),
      examples: ['muster host history web-01 --limit 10'],
      run: history,
    },
    verbOf('hold', 'HoldHost'),
    verbOf('release', 'ReleaseHost'),
    verbOf('withdraw', 'WithdrawDispatch'),
    verbOf('write-off', 'WriteOffHost'),
  ],
};

function hosts(desk: Desk): Promise<number> {
  const { client, now } = desk;
  const channel = textOption(desk, 'channel');
  const filter = {
    channel,
    state: textOption(desk, 'state'),
    reachability: textOption(desk, 'reachability'),
    prefix: textOption(desk, 'prefix'),
  };
  return list<ListedHost>(desk, {
    ...{ name: 'hosts', usual: USUAL, none: 'no host is like that' },
    heads: ['STATE', 'AGENT', 'HEARD', 'CHANNEL', 'HOLD', 'HOST'],
    row: (host) => rowOf(host, now()),
    ifNone: () => mustBeChannel(client, channel),
    async read(page) {
      const found = await client.get(HostListSchema, '/v1/hosts', { ...filter, ...page });
      return { rows: found.hosts, nextCursor: found.nextCursor };
    },
  });
}

type ListedHost = HostList['hosts'][number];

function rowOf(host: ListedHost, now: number): Row {
  const { reachability } = host;
  return [
    stateCell(host.closed ?? host.rolloutState ?? '-'),
    { text: reachability, tone: toneOf(reachability) },
    age(host.lastCheckinAt, now),
    host.channel === '' ? '-' : host.channel,
    host.held ? { text: 'held', tone: 'warn' } : '-',
    host.hostname,
  ];
}

function stateCell(text: string): Cell {
  return { text, tone: toneOf(text) };
}

function hostOf(desk: Desk): Promise<HostDetail> {
  return desk.client.get(HostDetailSchema, pathOf('hosts', desk.args['host'] ?? ''));
}

async function show(desk: Desk): Promise<number> {
  const host = await hostOf(desk);
  const { io, paint, now } = desk;
  if (desk.json) {
    printObject(desk, host);
    return EXIT.ok;
  }
  const line = (name: string, text: string): void => {
    io.stdout.write(`${paint('dim', name.padEnd(10))}${text}\n`);
  };
  io.stdout.write(`${paint('bold', host.hostname)}\n`);
  line('channel', host.channel ?? 'not declared');
  line(
    'agent',
    `${paint(toneOf(host.reachability), host.reachability)}, heard ${age(host.lastCheckinAt, now())} ago`,
  );
  line('runs', host.currentClosureHash ?? 'unknown');
  line('declared', host.declaredClosureHash ?? 'nothing');
  if (host.hold !== undefined) line('held', `by ${host.hold.actor}: ${host.hold.reason}`);
  const rows = host.rollouts.map((one): (string | Cell)[] => {
    const state = one.closed ?? one.state;
    return [
      { text: state, tone: toneOf(state) },
      String(one.wave),
      age(one.dispatchedAt, now()),
      { text: one.blockers.map(({ key }) => key).join(' ') || '-' },
      idCell(one.rolloutId),
    ];
  });
  io.stdout.write(`\n${table(['STATE', 'WAVE', 'DISPATCHED', 'HELD BY', 'ROLLOUT'], rows, desk)}`);
  return EXIT.ok;
}

async function explain(desk: Desk): Promise<number> {
  const host = await hostOf(desk);
  const { blockers, next = [], rollout = [] } = host;
  const all = [...blockers, ...rollout, ...next];
  if (desk.json) printObject(desk, all);
  else printReasons(desk, host, all);
  return all.length === 0 ? EXIT.ok : EXIT.no;
}

function printReasons(
  desk: Desk,
  { blockers, hostname, rollouts, next = [] }: HostDetail,
  all: readonly Blocker[],
): void {
  const { io } = desk;
  const [newest] = rollouts;
  if (blockers.length === 0) io.stdout.write(unheldText(hostname, newest, next.length > 0));
  for (const blocker of all) io.stdout.write(blockerText(desk, blocker));
  for (const other of rollouts.slice(1)) io.stdout.write(otherDispatchText(desk, other));
}

/** A dispatch of an older rollout that is in force: it keeps a slot, and who fetched it may act on it. */
function otherDispatchText(
  { now }: Desk,
  { rolloutId, dispatch, blockers }: HostDetail['rollouts'][number],
): string {
  if (dispatch === undefined) return '';
  const keys = blockers.map(({ key }) => key).join(' ');
  const offered = dispatch.suspended ? 'not offered now' : 'in force';
  return `dispatched in ${rolloutId} too, ${age(dispatch.enqueuedAt, now())} ago, ${offered} (${keys})\n`;
}

/** `isHeldNext`: something holds what comes next; it follows. */
function unheldText(
  hostname: string,
  newest: HostDetail['rollouts'][number] | undefined,
  isHeldNext: boolean,
): string {
  const stands =
    newest === undefined
      ? 'it is in no rollout'
      : `it is ${newest.closed ?? newest.state} in ${newest.rolloutId}`;
  const failures = (newest?.failures ?? []).map(({ probeName, controlId, since }) => {
    const what = controlId === undefined ? probeName : `${probeName} ${controlId}`;
    return `    ${what} fails since ${since}\n`;
  });
  const held = isHeldNext ? ' now' : '';
  const next = isHeldNext ? 'whatever comes next is held:\n' : '';
  return `nothing holds ${hostname}${held}: ${stands}\n${failures.join('')}${next}`;
}

function blockerText({ paint, now }: Desk, blocker: Blocker): string {
  const { key, because, since, releasedBy, hosts, total } = blocker;
  const behind = hosts.map(({ hostname, doing }) => `    ${hostname}  ${paint('dim', doing)}\n`);
  const how = since === undefined ? '' : `  since ${age(since, now())}`;
  return `${paint('warn', key)}${how}: ${because}\n    released when: ${releasedBy}\n${behind.join('')}${unnamed(total, hosts.length)}`;
}

async function history(desk: Desk): Promise<number> {
  const filter = { host: desk.args['host'], ...wholeOf(desk) };
  const line = (event: LogEvent): string => eventLine(desk, event, 0);
  await showRows(desk, filter, mostOf(desk, 'limit', USUAL_ROWS), line);
  return EXIT.ok;
}
