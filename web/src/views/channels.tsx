/** Channels as cards: a screenful of them, and where there are more, ways to find one and those that wait for a person. */
import { useRef, useState } from 'preact/hooks';
import type { ChannelDetail, ChannelList } from '../../../src/wire/overview.ts';
import { path } from '../api.ts';
import { useLive } from '../live.ts';
import { Problem, RolloutLink, Section, some, State, Waiting, When } from '../parts/basics.tsx';
import { CommandButton } from '../parts/command-button.tsx';

/** Cards that are looked through; hundreds would push all else off the page. */
const MOST_CARDS = 24;

const NOTES: Readonly<Record<string, string>> = {
  'ref-already-ended':
    'Its rollout of this commit has ended, and does not open again: push a new commit.',
  'not-declared':
    'The fleet declares it no more, and its last rollout is unfinished: nothing is dispatched there. Cancel it.',
  'no-release':
    'None of its hosts has a closure, so it declares no release. Its last rollout goes on.',
};

export function Channels() {
  const { data, error, reload } = useLive<ChannelList>('/v1/channels', {
    concerns: ({ kind }) => kind !== 'agent_event' && kind !== 'host_report',
  });
  const channels = data?.channels ?? [];
  const { shown, bar } = useFew(channels);
  return (
    <Section title="Channels">
      <Problem error={error} />
      {data === null ? <Waiting /> : null}
      {channels.length > MOST_CARDS ? bar : null}
      <ul class="cards">
        {shown.map((channel) => (
          <Card key={channel.name} channel={channel} reload={reload} />
        ))}
      </ul>
      {data?.nextCursor === undefined ? null : (
        <p class="muted">
          The first {channels.length.toLocaleString('en')} by name are here;{' '}
          <code>muster channel list --all</code> has every one.
        </p>
      )}
    </Section>
  );
}

/**
 * It keeps its place: cards that moved to the front as they change would do so under somebody's pointer. And it stays until
 * the reader asks for others: a channel that comes before it, or that its trouble is over, takes no card from who acts on it.
 */
function useFew(channels: readonly ChannelDetail[]) {
  const kept = useRef({ asked: '', names: new Set<string>() });
  const [prefix, setPrefix] = useState('');
  const [isInNeedOnly, setInNeedOnly] = useState(false);
  const [isAll, setAll] = useState(false);
  const keep = (shown: readonly ChannelDetail[], asked: string): void => {
    kept.current = { asked, names: new Set(shown.map(({ name }) => name)) };
  };
  const asked =
    isInNeedOnly || isAll || prefix !== '' ? JSON.stringify([prefix, isInNeedOnly, isAll]) : '';
  if (channels.length <= MOST_CARDS) {
    keep(channels, asked);
    return { shown: channels, bar: null };
  }
  const needy = channels.filter(isInNeed);
  const found = (isInNeedOnly ? needy : channels).filter(({ name }) =>
    name.startsWith(prefix.trim()),
  );
  const first = new Set(isAll ? found : found.slice(0, MOST_CARDS));
  const stay = kept.current.asked === asked ? kept.current.names : new Set<string>();
  const shown = channels.filter((channel) => first.has(channel) || stay.has(channel.name));
  keep(shown, asked);
  const bar = (
    <>
      <div class="bar filters">
        <label class="inline">
          Channel begins with
          <input
            type="search"
            value={prefix}
            onInput={(event) => setPrefix(event.currentTarget.value)}
          />
        </label>
        <button
          type="button"
          aria-pressed={isInNeedOnly}
          onClick={() => setInNeedOnly(!isInNeedOnly)}
        >
          Halted, paused or with a remark {needy.length}
        </button>
        <button type="button" aria-pressed={isAll} onClick={() => setAll(!isAll)}>
          All cards
        </button>
      </div>
      <p class="muted" role="status">
        {shown.length} of {some(channels.length, 'channel')} shown.
      </p>
    </>
  );
  return { shown, bar };
}

function isInNeed({ pause, note, rolloutState }: ChannelDetail): boolean {
  const isHalted = rolloutState === 'Failed' || rolloutState === 'Reverted';
  return pause !== undefined || note !== undefined || isHalted;
}

function Card({
  channel,
  reload,
}: {
  readonly channel: ChannelDetail;
  readonly reload: () => void;
}) {
  return (
    <li class="card">
      <h3>{channel.name}</h3>
      <p>
        {some(channel.hosts, 'host')}
        {channel.currentRolloutId === undefined ? ', nothing declared' : null}
      </p>
      {channel.currentRolloutId === undefined ? null : (
        <p>
          <RolloutLink id={channel.currentRolloutId} /> <State name={channel.rolloutState ?? ''} />
        </p>
      )}
      {channel.waitingRef === undefined ? null : (
        <p>{channel.waitingRef.slice(0, 8)} waits its turn</p>
      )}
      {channel.note === undefined ? null : (
        <p class="notice">{NOTES[channel.note] ?? channel.note}</p>
      )}
      {channel.pause === undefined ? (
        <CommandButton
          label={`Pause ${channel.name}`}
          about="Nothing more is dispatched on this channel, its next rollouts included, until it is resumed."
          command="PauseChannel"
          reaches={[channel.name]}
          path={path`/v1/channels/${channel.name}/pause`}
          onDone={reload}
        />
      ) : (
        <>
          <p class="notice">
            Paused by {channel.pause.actor}, <When at={channel.pause.at} />:{' '}
            <bdi>{channel.pause.reason}</bdi>
          </p>
          <CommandButton
            label={`Resume ${channel.name}`}
            about="Lets the channel go on."
            command="ResumeChannel"
            reaches={[channel.name]}
            path={path`/v1/channels/${channel.name}/resume`}
            expectedSeq={channel.seq}
            onDone={reload}
          />
        </>
      )}
    </li>
  );
}
