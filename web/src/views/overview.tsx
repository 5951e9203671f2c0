/** The fleet at a glance: what moves, what is held, what is set aside. */
import { useRef, useState } from 'preact/hooks';
import type { HostList, RolloutList } from '../../../src/wire/operator.ts';
import type { Fleet } from '../../../src/wire/overview.ts';
import { useLive } from '../live.ts';
import {
  Counts,
  Fact,
  Hash,
  links,
  Problem,
  RolloutLink,
  Section,
  some,
  State,
  useNow,
  Waiting,
  When,
} from '../parts/basics.tsx';
import { CommandButton } from '../parts/command-button.tsx';
import { Channels } from './channels.tsx';
import { Deferrals, Quarantines } from './set-aside.tsx';

/** Where one manifest is refused, so are all of its set, most often. */
const MOST_REFUSED = 3;

export function Overview() {
  const fleet = useLive<Fleet>('/v1/fleet', { everyMs: 15_000 });
  const { data } = fleet;
  return (
    <>
      <div class="bar">
        <h1>Fleet</h1>
        {data === null ? null : <FleetPause fleet={data} reload={fleet.reload} />}
      </div>
      <Problem error={fleet.error} />
      {data === null ? <Waiting /> : <Glance fleet={data} />}
      <Channels />
      <Rollouts />
      <FindHost />
      <Quarantines />
      <Deferrals />
    </>
  );
}

function FleetPause({ fleet, reload }: { readonly fleet: Fleet; readonly reload: () => void }) {
  return fleet.pause === undefined ? (
    <CommandButton
      label="Pause the fleet"
      about="Nothing more is dispatched anywhere until it is resumed. Hosts that are under way finish by themselves."
      command="PauseFleet"
      reaches={null}
      path="/v1/fleet/pause"
      danger
      onDone={reload}
    />
  ) : (
    <CommandButton
      label="Resume the fleet"
      about={`Paused by ${fleet.pause.actor}: ${fleet.pause.reason}`}
      command="ResumeFleet"
      reaches={null}
      path="/v1/fleet/resume"
      expectedSeq={fleet.seq}
      onDone={reload}
    />
  );
}

function Glance({ fleet }: { readonly fleet: Fleet }) {
  const blockers = Object.entries(fleet.blockers).sort(([, a], [, b]) => b - a);
  const { reachable = 0, unreachable = 0, never = 0 } = fleet.reachability;
  return (
    <>
      {fleet.pause === undefined ? null : (
        <p class="notice" role="status">
          The whole fleet is paused by {fleet.pause.actor}, <When at={fleet.pause.at} />:{' '}
          <bdi>{fleet.pause.reason}</bdi>
        </p>
      )}
      <Source fleet={fleet} />
      <Counts counts={fleet.hosts} />
      <dl class="facts">
        <Fact name="Release">
          {fleet.ref === undefined ? 'none yet' : <Hash text={fleet.ref.slice(0, 12)} />}
        </Fact>
        <Fact name="Signed">
          {fleet.signedAt === undefined ? '–' : <When at={fleet.signedAt} />}
        </Fact>
        <Fact name="Heard">
          {reachable} of {reachable + unreachable + never}
          {unreachable > 0 ? <strong>, {unreachable} silent</strong> : ''}
          {never > 0 ? `, ${never} never` : ''}
        </Fact>
        <Fact name="Log">
          <a href="#/log">row {fleet.headSeq}</a>
        </Fact>
      </dl>
      {blockers.length === 0 ? null : (
        <p>
          Held back:{' '}
          {blockers.map(([gate, n], i) => (
            <span key={gate}>
              {i === 0 ? '' : ', '}
              {n} by <strong>{gate}</strong>
            </span>
          ))}
          .
        </p>
      )}
      {Object.entries(fleet.rolloutBlockers ?? {}).map(([reason, n]) => (
        <p class="notice" key={reason}>
          {some(n, 'rollout')} held as a whole by <strong>{reason}</strong>.
        </p>
      ))}
    </>
  );
}

/** As the alert MusterManifestStale. */
const STALE_SOON_SECONDS = 600;

/** What is wrong with the signed files: nothing new is rolled out, whatever CI publishes. */
function Source({ fleet: { refused = [], staleAt } }: { readonly fleet: Fleet }) {
  const now = useNow(15_000);
  const left = staleAt === undefined ? Infinity : (Date.parse(staleAt) - now) / 1_000;
  return (
    <>
      {refused.slice(0, MOST_REFUSED).map(({ artifact, reason, detail, since }) => (
        <p class="problem" key={artifact}>
          <strong>{artifact}</strong> of the source is refused since <When at={since} />: {reason},{' '}
          {detail}
        </p>
      ))}
      {refused.length > MOST_REFUSED ? (
        <p class="problem">
          And {some(refused.length - MOST_REFUSED, 'more artifact')} of it:{' '}
          <a href={links.log({ kind: 'verify_outcome' })}>the log has all</a>.
        </p>
      ) : null}
      {staleAt === undefined || left > STALE_SOON_SECONDS ? null : (
        <p class={left > 0 ? 'notice' : 'problem'}>
          The first manifest {left > 0 ? 'goes' : 'went'} stale <When at={staleAt} />, and no new
          dispatch is granted by a stale one: CI has to sign again.
        </p>
      )}
    </>
  );
}

function Rollouts() {
  const { data, error } = useLive<RolloutList>('/v1/rollouts?hosts=false&limit=20', {
    concerns: ({ kind }) => kind === 'rollout_event' || kind === 'operator_command',
  });
  return (
    <Section title="Rollouts">
      <Problem error={error} />
      {data === null ? <Waiting /> : null}
      <ul class="lines">
        {data?.rollouts.map((rollout) => (
          <li key={rollout.rolloutId}>
            <RolloutLink id={rollout.rolloutId} /> <State name={rollout.state} />{' '}
            <span class="muted">
              wave {rollout.currentWave} of 0–{rollout.waves - 1}, opened{' '}
              <When at={rollout.createdAt} />
            </span>
          </li>
        ))}
      </ul>
    </Section>
  );
}

function FindHost() {
  const [prefix, setPrefix] = useState('');
  const wanted = prefix.trim();
  const wrong = !/^[\w.-]{0,253}$/.test(wanted);
  const query = new URLSearchParams({ limit: '20', prefix: wrong ? '' : wanted });
  const shown = useRef(new Set<string>());
  const { data, error } = useLive<HostList>(`/v1/hosts?${query}`, {
    // Among thousands that move, the twenty that are shown; what is about no single host may be about them.
    concerns: ({ host }) => host === undefined || shown.current.has(host),
    everyMs: 15_000,
  });
  shown.current = new Set(data?.hosts.map(({ hostname }) => hostname));
  return (
    <Section title="Hosts">
      <label class="inline">
        Name begins with
        <input
          type="search"
          value={prefix}
          onInput={(event) => setPrefix(event.currentTarget.value)}
        />
      </label>
      <Problem error={error} />
      {wrong ? (
        <p class="problem" role="status">
          No host is called so: a name has letters, digits, dots, hyphens and underscores.
        </p>
      ) : (
        <FoundHosts list={data} />
      )}
    </Section>
  );
}

function FoundHosts({ list }: { readonly list: HostList | null }) {
  return (
    <>
      <ul class="lines">
        {list?.hosts.map((host) => (
          <li key={host.hostname}>
            <a href={links.host(host.hostname)}>{host.hostname}</a>{' '}
            {host.rolloutState === undefined ? null : (
              <State name={host.closed === undefined ? host.rolloutState : 'closed'} />
            )}{' '}
            <span class="muted">
              {host.channel}, {host.reachability}
              {host.held ? ', held' : ''}
            </span>
          </li>
        ))}
      </ul>
      {list?.nextCursor === undefined ? null : (
        <p class="muted">The first 20 by name; type more letters.</p>
      )}
      {list?.hosts.length === 0 ? <p class="muted">No host is called so.</p> : null}
    </>
  );
}
