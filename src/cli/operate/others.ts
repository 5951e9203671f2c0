/** `muster fleet …`, `muster quarantine …`. */
import { QuarantineListSchema, type QuarantineList } from '../../wire/overview.ts';
import { textOption, type Desk, type OperatorNoun } from './command.ts';
import { commandVerb } from './commanding.ts';
import { list, listOptions } from './listing.ts';
import { mustBeChannel } from './names.ts';
import { age } from './show.ts';

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
