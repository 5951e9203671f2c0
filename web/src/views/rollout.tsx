/** One rollout: its waves of hosts, what holds it, and what may be done about it. */
import { useMemo, useState } from 'preact/hooks';
import type { LogEvent } from '../../../src/wire/log-event.ts';
import type { Lifecycle } from '../../../src/wire/operator.ts';
import type { RolloutBlockers } from '../../../src/wire/why.ts';
import { path } from '../api.ts';
import { useLive } from '../live.ts';
import {
  Fact,
  HOST_STATES,
  links,
  Problem,
  Section,
  shortId,
  State,
  Waiting,
  When,
  Counts,
} from '../parts/basics.tsx';
import { Blockers } from '../parts/blockers.tsx';
import { CommandButton } from '../parts/command-button.tsx';
import { HostGrid, type GridHost } from '../parts/grid.tsx';
import { MOST, useRolloutHosts } from './rollout-hosts.ts';

const OVER = ['Superseded', 'Cancelled', 'Pruned', 'Terminal'];
/** It waits for a person: its failures are cleared, or it is cancelled. */
const HALTED = ['Failed', 'Reverted'];

/** Its own rows, and commands: a pause is about no rollout, and holds it all the same. */
function concerning(id: string): (event: LogEvent) => boolean {
  return ({ rolloutId, kind }) => rolloutId === id || kind === 'operator_command';
}

export function Rollout({ id }: { readonly id: string }) {
  const { data, error, reload } = useLive<Lifecycle>(path`/v1/rollouts/${id}/lifecycle`, {
    concerns: concerning(id),
  });
  return (
    <>
      <div class="bar">
        <h1>
          {shortId(id)} {data === null ? null : <State name={data.state} />}
        </h1>
        {data === null ? null : <RolloutCommands rollout={data} reload={reload} />}
      </div>
      <Problem error={error} />
      {data === null && error === null ? <Waiting /> : null}
      {data === null ? null : (
        <>
          <About rollout={data} />
          <Why id={id} over={OVER.includes(data.state)} />
          <Waves rollout={data} />
        </>
      )}
    </>
  );
}

function RolloutCommands({
  rollout,
  reload,
}: {
  readonly rollout: Lifecycle;
  readonly reload: () => void;
}) {
  if (OVER.includes(rollout.state)) return null;
  const { rolloutId: id, seq } = rollout;
  return (
    <div class="buttons">
      {HALTED.includes(rollout.state) ? (
        <CommandButton
          label="Clear the failures"
          about={`Sets the failures of ${shortId(id)} aside and lets it go on. Nobody who failed is tried again.`}
          command="ClearRollout"
          reaches={[rollout.channel]}
          path={path`/v1/rollouts/${id}/clear`}
          expectedSeq={seq}
          danger
          onDone={reload}
        />
      ) : null}
      <CommandButton
        label="Cancel the rollout"
        about={`Ends ${shortId(id)} for good. Hosts that are under way finish by themselves; nobody else begins.`}
        command="CancelRollout"
        subject={`${rollout.state} ${rollout.currentWave}`}
        reaches={[rollout.channel]}
        path={path`/v1/rollouts/${id}/cancel`}
        expectedSeq={seq}
        danger
        onDone={reload}
      />
    </div>
  );
}

function About({ rollout }: { readonly rollout: Lifecycle }) {
  const { All: _, ...totals } = tally(rollout);
  return (
    <>
      <Counts counts={totals} />
      <dl class="facts">
        <Fact name="Release">
          <code>{rollout.channelRef.slice(0, 12)}</code>
        </Fact>
        <Fact name="Opened">
          <When at={rollout.openedAt} />
        </Fact>
        <Fact name="Wave">
          {rollout.currentWave} of 0–{rollout.waves.length - 1}
        </Fact>
        <Fact name="When a host fails">
          {rollout.onHealthFailure}
          {rollout.maxFailures > 0 ? `, beyond ${rollout.maxFailures}` : ''}
        </Fact>
        <Fact name="Log">
          <a href={links.log({ rollout: rollout.rolloutId })}>its rows</a>
        </Fact>
      </dl>
      {rollout.supersededBy === undefined ? null : (
        <p class="notice">
          Superseded by{' '}
          <a href={links.rollout(rollout.supersededBy)}>{shortId(rollout.supersededBy)}</a>.
        </p>
      )}
    </>
  );
}

/**
 * Once nobody waits for it, only what holds somebody all the same is worth a section: a host that returns is dispatched
 * in a rollout that is through.
 */
function Why({ id, over }: { readonly id: string; readonly over: boolean }) {
  const { data, error } = useLive<RolloutBlockers>(path`/v1/rollouts/${id}/blockers`, {
    concerns: concerning(id),
    everyMs: 15_000,
  });
  const blockers = data === null ? null : [...data.rollout, ...data.hosts];
  if (over && error === null && (blockers === null || blockers.length === 0)) return null;
  return (
    <Section title={over ? 'What holds hosts of it' : 'What holds it'}>
      <Problem error={error} />
      {blockers === null ? (
        <Waiting />
      ) : (
        <Blockers blockers={blockers} empty="Nothing: every host may move or has." />
      )}
    </Section>
  );
}

type Filter = (typeof FILTERS)[number];
const FILTERS = ['All', ...Object.keys(HOST_STATES), 'closed', 'Held'] as const;

/** As all counts have it: nobody waits for a closed one, whatever state it is in. */
function standingOf({ state, closed }: GridHost): string {
  return closed === undefined ? state : 'closed';
}

function Waves({ rollout }: { readonly rollout: Lifecycle }) {
  const { waves: drawn, cut, error, loading } = useRolloutHosts(rollout.rolloutId);
  const [filter, setFilter] = useState<Filter>('All');
  const held = useMemo(() => drawn.flatMap(({ hosts }) => hosts).filter(isHeld).length, [drawn]);
  const tallies: Readonly<Record<string, number>> = { ...tally(rollout), Held: held };
  return (
    <Section title="Hosts, wave by wave">
      <Problem error={error} />
      {loading ? (
        <Waiting />
      ) : (
        <>
          <Filters tallies={tallies} pressed={filter} onPress={setFilter} />
          {cut ? <Cut all={tallies['All'] ?? 0} /> : null}
          {rollout.waves.map((wave) => (
            <Wave
              key={wave.wave}
              wave={wave}
              hosts={drawn.find((one) => one.wave === wave.wave)?.hosts ?? []}
              rollout={rollout}
              filter={filter}
            />
          ))}
        </>
      )}
    </Section>
  );
}

function Filters({
  tallies,
  pressed,
  onPress,
}: {
  readonly tallies: Readonly<Record<string, number>>;
  readonly pressed: Filter;
  readonly onPress: (filter: Filter) => void;
}) {
  // What is pressed stays when its last host has gone on: an empty grid tells why it is empty.
  const isShown = (name: Filter): boolean =>
    name === 'All' || name === pressed || (tallies[name] ?? 0) > 0;
  return (
    <div class="buttons filters" role="group" aria-label="Show hosts that are">
      {FILTERS.filter(isShown).map((name) => (
        <button
          type="button"
          key={name}
          aria-pressed={pressed === name}
          onClick={() => onPress(name)}
        >
          {name === 'All' || name === 'Held' ? name : <State name={name} />} {tallies[name] ?? 0}
        </button>
      ))}
    </div>
  );
}

function Cut({ all }: { readonly all: number }) {
  return (
    <p class="notice">
      Only {MOST.toLocaleString('en')} of {all.toLocaleString('en')} hosts are drawn: those that
      failed or were reverted, then others by wave and name. The counts are of all, but for Held,
      which counts those drawn.
    </p>
  );
}

type WaveCounts = Lifecycle['waves'][number];

function Wave({
  wave: { wave, hosts: all, states, soakMinutes },
  hosts,
  rollout,
  filter,
}: {
  readonly wave: WaveCounts;
  /** Those of it that are drawn. */
  readonly hosts: readonly GridHost[];
  readonly rollout: Lifecycle;
  readonly filter: Filter;
}) {
  const shown = hosts.filter(
    (host) => filter === 'All' || (filter === 'Held' ? isHeld(host) : standingOf(host) === filter),
  );
  const done = (states['Converged'] ?? 0) + (states['closed'] ?? 0);
  const current = wave === rollout.currentWave && !OVER.includes(rollout.state);
  return (
    <div class={current ? 'wave current' : 'wave'}>
      <h3>
        Wave {wave}
        {current ? ' (now)' : ''}
      </h3>
      <p class="muted">
        <progress max={all} value={done} aria-label={`Wave ${wave}: hosts done`} /> {done} of {all}{' '}
        done, soak {Math.round(soakMinutes * 100) / 100} min
        {hosts.length < all ? `; ${hosts.length === 0 ? 'none' : hosts.length} of them drawn` : ''}
      </p>
      <HostGrid hosts={shown} label={`Hosts of wave ${wave}`} />
    </div>
  );
}

function isHeld({ blocked }: GridHost): boolean {
  return blocked;
}

/** Of all waves, whether their hosts are drawn or not. */
function tally({ waves }: Lifecycle): Record<string, number> {
  const counts: Record<string, number> = { All: 0 };
  for (const { hosts, states } of waves) {
    counts['All'] = (counts['All'] ?? 0) + hosts;
    for (const [state, n] of Object.entries(states)) counts[state] = (counts[state] ?? 0) + n;
  }
  return counts;
}
