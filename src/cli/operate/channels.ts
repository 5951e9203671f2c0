/** `muster channel …`: what a channel declares, what of it is rolled out, and what waits its turn. */
import { ChannelDetailSchema, ChannelListSchema, type ChannelDetail } from '../../wire/overview.ts';
import { EXIT } from '../io.ts';
import { clip } from '../text-width.ts';
import { printObject, type Desk, type OperatorNoun } from './command.ts';
import { OperateError, type Client } from './client.ts';
import { commandVerb } from './commanding.ts';
import { list, listOptions } from './listing.ts';
import { pathOf } from './paths.ts';
import { age, idCell, shortRef, some, toneOf, type Row } from './show.ts';

export const CHANNELS: OperatorNoun = {
  noun: 'channel',
  about: 'a release train',
  verbs: [
    {
      verb: 'list',
      args: [],
      about: 'Channels by name',
      options: listOptions('all'),
      examples: ['muster channel list'],
      run: channels,
    },
    {
      verb: 'show',
      args: ['channel'],
      about: 'What it declares, and where it stands',
      options: {},
      examples: ['muster channel show stable', 'muster channel show stable --json'],
      run: show,
    },
    commandVerb({
      ...{ verb: 'pause', command: 'PauseChannel', args: ['channel'] },
      example: 'muster channel pause stable',
    }),
    commandVerb({
      ...{ verb: 'resume', command: 'ResumeChannel', args: ['channel'] },
      example: 'muster channel resume stable',
    }),
  ],
};

const HEADS = ['CHANNEL', 'ROLLOUT', 'PAUSED', 'SIGNED', 'NOTE', 'ID'];

function channels(desk: Desk): Promise<number> {
  const { client } = desk;
  return list<ChannelDetail>(desk, {
    ...{ name: 'channels', usual: 'all', none: 'no channel is declared', heads: HEADS },
    row: (one) => rowOf(one, desk),
    async read(page) {
      const found = await client.get(ChannelListSchema, '/v1/channels', { ...page });
      return { rows: found.channels, nextCursor: found.nextCursor };
    },
  });
}

/** A reason may be a thousand characters: here its beginning, the whole in `channel show`. */
const PAUSE_WIDTH = { usual: 40, narrow: 24 } as const;
const NARROW_COLUMNS = 100;

function rowOf(one: ChannelDetail, { now, columns }: Desk): Row {
  const width =
    columns !== null && columns < NARROW_COLUMNS ? PAUSE_WIDTH.narrow : PAUSE_WIDTH.usual;
  const { rolloutState: state = '-', pause } = one;
  return [
    one.name,
    { text: state, tone: toneOf(state) },
    pause === undefined
      ? '-'
      : { text: clip(`by ${pause.actor}: ${pause.reason}`, width), tone: 'warn' },
    age(one.signed_at, now()),
    notesOf(one).join('; ') || '-',
    idCell(one.currentRolloutId),
  ];
}

/** What is to be known of a channel beside its state, each in a few words. */
export function notesOf({ waitingRef, note }: ChannelDetail): string[] {
  const waits = waitingRef === undefined ? [] : [`${shortRef(waitingRef)} waits its turn`];
  return note === undefined ? waits : [...waits, note];
}

/** finish-first, in full. Null: nothing waits. */
export function waitingText({ waitingRef, currentRolloutId }: ChannelDetail): string | null {
  if (waitingRef === undefined) return null;
  const first = currentRolloutId ?? 'the rollout before it';
  return `${waitingRef} opens once ${first} is through, or is cancelled (onNewRef: finish-first)`;
}

/** What waits for this rollout; null: nothing does, or another one is in front. */
export async function waitingBehind(client: Client, rolloutId: string): Promise<string | null> {
  const [name = ''] = rolloutId.split('@');
  const channel = await client.get(ChannelDetailSchema, pathOf('channels', name)).catch(nothing);
  return channel?.currentRolloutId === rolloutId ? waitingText(channel) : null;
}

/** Of a channel that is known no more. */
function nothing(error: unknown): null {
  if (error instanceof OperateError && error.code === 'not-found') return null;
  throw error;
}

/** By the names that the log gives them. */
const NOTES: Readonly<Record<string, string>> = {
  'ref-already-ended':
    'the ref that it declares was rolled out before and has ended; it opens again by a new commit only',
  'not-declared':
    'the fleet declares it no more, and its last rollout is unfinished: nothing is dispatched there; `muster rollout cancel` ends it',
  'no-release':
    'none of its hosts has a closure, so it declares no release; its last rollout goes on',
};

async function show(desk: Desk): Promise<number> {
  const path = pathOf('channels', desk.args['channel'] ?? '');
  const one = await desk.client.get(ChannelDetailSchema, path);
  if (desk.json) printObject(desk, { channels: [one] });
  else print(desk, one);
  return EXIT.ok;
}

function print({ io, paint, now }: Desk, one: ChannelDetail): void {
  const line = (name: string, text: string): void => {
    io.stdout.write(`${paint('dim', name.padEnd(10))}${text}\n`);
  };
  const { currentRolloutId: id, rolloutState: state = '-', pause, note } = one;
  io.stdout.write(`${paint('bold', one.name)}\n`);
  line('hosts', some(one.hosts, 'host'));
  line('declares', one.declared_ci_commit ?? 'nothing');
  line('signed', signedText(one, now()));
  line('rollout', id === undefined ? 'none yet' : `${id}  ${paint(toneOf(state), state)}`);
  const waits = waitingText(one);
  if (waits !== null) line('waits', waits);
  if (pause !== undefined) {
    const { actor, reason, at } = pause;
    line('paused', `${paint('warn', `by ${actor}`)}, ${age(at, now())} ago: ${reason}`);
  }
  if (note !== undefined) line('note', paint('warn', NOTES[note] ?? note));
}

function signedText(
  { signed_at: at, freshness_window_minutes: minutes }: ChannelDetail,
  now: number,
): string {
  if (at === undefined) return 'never';
  return `${age(at, now)} ago; good for ${some(minutes, 'minute')} at the most`;
}
