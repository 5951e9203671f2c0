/** One host: where it stands, every gate that holds it, its way through its rollouts, and its commands. */
import type { LogEvent, LogPage } from '../../../src/wire/log-event.ts';
import type { HostDetail } from '../../../src/wire/why.ts';
import { path } from '../api.ts';
import { useLive } from '../live.ts';
import {
  Fact,
  Hash,
  links,
  Problem,
  RolloutLink,
  Section,
  span,
  State,
  Waiting,
  When,
} from '../parts/basics.tsx';
import { Blockers } from '../parts/blockers.tsx';
import { CommandButton } from '../parts/command-button.tsx';
import { EventList } from './event.tsx';

type InRollout = HostDetail['rollouts'][number];

export function Host({ name }: { readonly name: string }) {
  // Gates of a host open and close with what other hosts do.
  const concerns = ({ host, kind }: LogEvent): boolean =>
    host === name ||
    kind === 'gate_decision' ||
    kind === 'operator_command' ||
    kind === 'rollout_event';
  const { data, error, reload } = useLive<HostDetail>(path`/v1/hosts/${name}`, {
    concerns,
    everyMs: 15_000,
  });
  return (
    <>
      <div class="bar">
        <h1>{name}</h1>
        {data === null ? null : <HostCommands host={data} reload={reload} />}
      </div>
      <Problem error={error} />
      {data === null && error === null ? <Waiting /> : null}
      {data === null ? null : (
        <>
          <About host={data} />
          <Section title="What holds it now">
            <Blockers blockers={data.blockers} empty="Nothing." />
          </Section>
          {data.rollout === undefined ? null : (
            <Section title="What holds its rollout as a whole">
              <Blockers blockers={data.rollout} empty="" />
            </Section>
          )}
          {data.next === undefined ? null : (
            <Section title="What holds whatever comes next">
              <Blockers blockers={data.next} empty="" />
            </Section>
          )}
          <Section title="Its rollouts">
            {data.rollouts.length === 0 ? <p class="muted">None yet.</p> : null}
            {data.rollouts.map((one) => (
              <Journey key={one.rolloutId} one={one} />
            ))}
          </Section>
          <History name={name} />
        </>
      )}
    </>
  );
}

/**
 * Where it moved on without the release of a rollout that is under way, that may wait for an operator's word; and later
 * waves do where it converged over a failing control.
 */
function mayBeWrittenOff({ state, closed, rolloutState, failures }: InRollout): boolean {
  return closed === undefined
    ? state !== 'Converged' || failures.length > 0
    : closed === 'abandoned' && ['Opening', 'Active', 'Converging'].includes(rolloutState);
}

/**
 * What taking a dispatch back and writing a host off are about: its records' states, closings and dispatches. An agent
 * that reports its probes again and again changes none of them, and must not keep a person from either.
 */
function standingOf({ rollouts }: HostDetail): string {
  return JSON.stringify(
    rollouts.map(({ rolloutId, state, closed, dispatch }) => [
      rolloutId,
      state,
      closed,
      dispatch?.enqueuedAt,
    ]),
  );
}

function HostCommands({
  host,
  reload,
}: {
  readonly host: HostDetail;
  readonly reload: () => void;
}) {
  const { hostname: name, seq } = host;
  const brake = { reaches: host.commandChannels ?? [], onDone: reload };
  const common = { ...brake, expectedSeq: seq };
  const dispatched = host.rollouts.some(({ dispatch }) => dispatch !== undefined);
  const open = host.rollouts.some(mayBeWrittenOff);
  return (
    <div class="buttons">
      {host.hold === undefined ? (
        <CommandButton
          {...brake}
          label={`Hold ${name}`}
          about="Nothing is dispatched to this host until it is released. What it has begun it finishes."
          command="HoldHost"
          path={path`/v1/hosts/${name}/hold`}
        />
      ) : (
        <CommandButton
          {...common}
          label={`Release ${name}`}
          about={`Held by ${host.hold.actor}: ${host.hold.reason}`}
          command="ReleaseHost"
          subject={`${host.hold.actor} ${host.hold.at}`}
          path={path`/v1/hosts/${name}/release`}
        />
      )}
      {dispatched ? (
        <CommandButton
          {...common}
          label="Withdraw its dispatch"
          about={`Takes back what ${name} may do next. If it already fetched it, it may still go on.`}
          command="WithdrawDispatch"
          subject={standingOf(host)}
          path={path`/v1/hosts/${name}/withdraw`}
        />
      ) : null}
      {open ? (
        <CommandButton
          {...common}
          label="Write it off"
          about={`For a machine that is dead, went back or moved on: closes the records of ${name}, so that no rollout waits for it.`}
          command="WriteOffHost"
          subject={standingOf(host)}
          path={path`/v1/hosts/${name}/write-off`}
          danger
        />
      ) : null}
    </div>
  );
}

function About({ host }: { readonly host: HostDetail }) {
  return (
    <>
      {host.hold === undefined ? null : (
        <p class="notice" role="status">
          Held by {host.hold.actor}, <When at={host.hold.at} />: <bdi>{host.hold.reason}</bdi>
        </p>
      )}
      <dl class="facts">
        <Fact name="Channel">{host.channel ?? 'no longer declared'}</Fact>
        <Fact name="Reachability">{host.reachability}</Fact>
        <Fact name="Last heard">
          {host.lastCheckinAt === undefined ? 'never' : <When at={host.lastCheckinAt} />}
        </Fact>
        <Fact name="Up for">
          {host.lastUptimeSecs === undefined ? '–' : span(host.lastUptimeSecs)}
        </Fact>
        <Fact name="Agent">{host.agentVersion ?? '–'}</Fact>
        <Fact name="Runs" wide>
          {host.currentClosureHash === undefined ? (
            'unknown'
          ) : (
            <Hash text={host.currentClosureHash} />
          )}
        </Fact>
        <Fact name="Should run" wide>
          {host.declaredClosureHash === undefined ? '–' : <Hash text={host.declaredClosureHash} />}
        </Fact>
      </dl>
    </>
  );
}

function stepsOf(one: InRollout): (readonly [string, string])[] {
  const steps: (readonly [string, string | undefined])[] = [
    ['Dispatched', one.dispatchedAt],
    ['Acknowledged', one.dispatchAckedAt],
    ['Activation began', one.activationStartedAt],
    ['Activated', one.activationCompletedAt],
    ['Soaks until', one.state === 'Soaking' ? one.soakDueAt : undefined],
    ['Converged', one.convergedAt],
    ['Failed', one.failedAt],
    ['Reverted', one.revertedAt],
  ];
  return steps.flatMap(([name, at]) => (at === undefined ? [] : [[name, at] as const]));
}

function Journey({ one }: { readonly one: InRollout }) {
  const steps = stepsOf(one);
  return (
    <article class="card">
      <h3>
        <RolloutLink id={one.rolloutId} /> <State name={one.state} closed={one.closed} />
      </h3>
      <p class="muted">
        Wave {one.wave}, to <Hash text={one.targetClosureHash} />
      </p>
      {steps.length === 0 ? <p>Not dispatched yet.</p> : null}
      <ol class="timeline">
        {steps.map(([name, at]) => (
          <li key={name}>
            {name} <When at={at} />
          </li>
        ))}
      </ol>
      {Object.entries(one.probes).map(([name, probe]) => (
        <p key={name} class={probe.status === 'fail' ? 'problem' : ''}>
          Probe <strong>{name}</strong> ({probe.mode}): {probe.status}{' '}
          <When at={probe.lastObservedAt} />
          {probe.failureReason === undefined ? null : (
            <>
              : <bdi>{probe.failureReason}</bdi>
            </>
          )}
        </p>
      ))}
    </article>
  );
}

function History({ name }: { readonly name: string }) {
  const { data, error } = useLive<LogPage>(
    `/v1/events?${new URLSearchParams({ host: name, last: '50' })}`,
    {
      // A row about several hosts names none of them in its head.
      concerns: ({ host }) => host === name || host === undefined,
    },
  );
  return (
    <Section title="Its log" actions={<a href={links.log({ host: name })}>All rows</a>}>
      <Problem error={error} />
      {data === null ? (
        <Waiting />
      ) : (
        <EventList events={[...data.events].reverse()} incarnation={data.cursor} />
      )}
    </Section>
  );
}
