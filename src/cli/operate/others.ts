/** `muster channel …`, `muster fleet …`, `muster quarantine …`. */
import {
  ChannelDetailSchema,
  ChannelListSchema,
  QuarantineListSchema,
  type ChannelDetail,
} from '../../wire/overview.ts';
import { EXIT } from '../io.ts';
import { printObject, textOption, type Desk, type OperatorNoun } from './command.ts';
import { commandVerb } from './commanding.ts';
import { pathOf } from './paths.ts';
import { age, table, toneOf, type Cell } from './show.ts';

export const CHANNELS: OperatorNoun = {
  noun: 'channel',
  about: 'a release train',
  verbs: [
    {
      verb: 'list',
      args: [],
      about: 'Channels by name',
      options: {},
      examples: ['muster channel list'],
      run: async (desk) =>
        channels(desk, (await desk.client.get(ChannelListSchema, '/v1/channels')).channels),
    },
    {
      verb: 'show',
      args: ['channel'],
      about: 'What it declares, and where it stands',
      options: {},
      examples: ['muster channel show stable --json'],
      run: async (desk) => {
        const path = pathOf('channels', desk.args['channel'] ?? '');
        return channels(desk, [await desk.client.get(ChannelDetailSchema, path)]);
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
      options: { channel: { value: 'NAME', about: 'of this channel only' } },
      examples: ['muster quarantine list --channel stable'],
      run: quarantines,
    },
    commandVerb({
      ...{ verb: 'clear', command: 'ClearQuarantine', args: ['channel', 'closure'] },
      example: 'muster quarantine clear stable 5f3a9c',
    }),
  ],
};

function channels(desk: Desk, found: readonly ChannelDetail[]): number {
  if (desk.json) printObject(desk, { channels: found });
  else {
    const rows = found.map((one): (string | Cell)[] => [
      one.name,
      { text: one.rolloutState ?? '-', tone: toneOf(one.rolloutState ?? '') },
      one.pause === undefined
        ? '-'
        : { text: `by ${one.pause.actor}: ${one.pause.reason}`.slice(0, 40), tone: 'warn' },
      age(one.signed_at, desk.now()),
      one.note ?? '-',
      one.currentRolloutId ?? '-',
    ]);
    const heads = ['CHANNEL', 'ROLLOUT', 'PAUSED', 'SIGNED', 'NOTE', 'ID'];
    desk.io.stdout.write(table(heads, rows, desk));
  }
  return EXIT.ok;
}

async function quarantines(desk: Desk): Promise<number> {
  const query = { channel: textOption(desk, 'channel') };
  const found = await desk.client.get(QuarantineListSchema, '/v1/quarantines', query);
  if (desk.json) printObject(desk, found);
  else if (found.quarantines.length === 0) desk.io.stdout.write('nothing is quarantined\n');
  else {
    const rows = found.quarantines.map(({ channel, hostname, at, closure }) => [
      ...[channel, hostname, age(at, desk.now()), closure],
    ]);
    desk.io.stdout.write(table(['CHANNEL', 'FAILED ON', 'AGE', 'CLOSURE'], rows, desk));
  }
  return EXIT.ok;
}
