/** `muster channel …`, `muster fleet …`, `muster quarantine …`. */
import {
  ChannelDetailSchema,
  ChannelListSchema,
  QuarantineListSchema,
  type ChannelDetail,
  type QuarantineList,
} from '../../wire/overview.ts';
import { EXIT } from '../io.ts';
import { clip } from '../text-width.ts';
import { printObject, textOption, type Desk, type OperatorNoun } from './command.ts';
import { commandVerb } from './commanding.ts';
import { list, listOptions } from './listing.ts';
import { mustBeChannel } from './names.ts';
import { pathOf } from './paths.ts';
import { age, table, toneOf, type Row } from './show.ts';

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
      examples: ['muster channel show stable --json'],
      run: async (desk) => {
        const path = pathOf('channels', desk.args['channel'] ?? '');
        return channel(desk, await desk.client.get(ChannelDetailSchema, path));
      },
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

export const FLEET: OperatorNoun = {
  noun: 'fleet',
  about: 'everything at once',
  verbs: [
    commandVerb({ verb: 'pause', command: 'PauseFleet', args: [], example: 'muster fleet pause' }),
    commandVerb({
      verb: 'resume',
      command: 'ResumeFleet',
      args: [],
      example: 'muster fleet resume',
    }),
  ],
};

export const QUARANTINES: OperatorNoun = {
  noun: 'quarantine',
  about: 'closures that failed on a channel and are not dispatched there again',
  verbs: [
    {
      verb: 'list',
      args: [],
      about: 'Quarantined closures',
      options: {
        channel: { value: 'NAME', about: 'of this channel only' },
        ...listOptions('all'),
      },
      examples: ['muster quarantine list --channel stable'],
      run: quarantines,
    },
    commandVerb({
      ...{ verb: 'clear', command: 'ClearQuarantine', args: ['channel', 'closure'] },
      example: 'muster quarantine clear stable 5f3a9c',
    }),
  ],
};

const CHANNEL_HEADS = ['CHANNEL', 'ROLLOUT', 'PAUSED', 'SIGNED', 'NOTE', 'ID'];

function channels(desk: Desk): Promise<number> {
  const { client, now } = desk;
  return list<ChannelDetail>(desk, {
    ...{ name: 'channels', usual: 'all', none: 'no channel is declared', heads: CHANNEL_HEADS },
    row: (one) => channelRow(one, now()),
    async read(page) {
      const found = await client.get(ChannelListSchema, '/v1/channels', { ...page });
      return { rows: found.channels, nextCursor: found.nextCursor };
    },
  });
}

function channel(desk: Desk, one: ChannelDetail): number {
  if (desk.json) printObject(desk, { channels: [one] });
  else desk.io.stdout.write(table(CHANNEL_HEADS, [channelRow(one, desk.now())], desk));
  return EXIT.ok;
}

/** A reason may be a thousand characters: here its beginning, the whole in `--json` and on the page. */
const PAUSE_WIDTH = 40;

function channelRow(one: ChannelDetail, now: number): Row {
  const { rolloutState: state = '-', pause } = one;
  return [
    one.name,
    { text: state, tone: toneOf(state) },
    pause === undefined
      ? '-'
      : { text: clip(`by ${pause.actor}: ${pause.reason}`, PAUSE_WIDTH), tone: 'warn' },
    age(one.signed_at, now),
    one.note ?? '-',
    one.currentRolloutId ?? '-',
  ];
}

function quarantines(desk: Desk): Promise<number> {
  const { client, now } = desk;
  const only = textOption(desk, 'channel');
  return list<QuarantineList['quarantines'][number]>(desk, {
    ...{ name: 'quarantines', usual: 'all', none: 'nothing is quarantined' },
    heads: ['CHANNEL', 'FAILED ON', 'AGE', 'CLOSURE'],
    row: ({ channel: of, hostname, at, closure }) => [of, hostname, age(at, now()), closure],
    ifNone: () => mustBeChannel(client, only),
    async read(page) {
      const query = { channel: only, ...page };
      const found = await client.get(QuarantineListSchema, '/v1/quarantines', query);
      return { rows: found.quarantines, nextCursor: found.nextCursor };
    },
  });
}
