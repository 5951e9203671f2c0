/** Who leads, and whether the queue keeps up. */
import type { Leader, Queue } from '../../../src/wire/overview.ts';
import { lockTaken, NOBODY_WORKS } from '../../../src/wire/lock-taken.ts';
import { useLive } from '../live.ts';
import {
  asSentence,
  Fact,
  links,
  Problem,
  Section,
  span,
  Waiting,
  When,
} from '../parts/basics.tsx';

/** Neither is in the log as it changes. */
const EVERY_MS = 2_000;
/** Three ticks. */
const LATE_SECONDS = 45;

export function Health() {
  const leader = useLive<Leader>('/v1/leader', {
    concerns: ({ kind }) => kind === 'leadership',
    everyMs: EVERY_MS,
  });
  const queue = useLive<Queue>('/v1/queue', { concerns: () => false, everyMs: EVERY_MS });
  return (
    <>
      <h1>Health</h1>
      <Section title="Leader">
        <Problem error={leader.error} />
        {leader.data === null ? <Waiting /> : <Leading leader={leader.data} />}
      </Section>
      <Section title="Queue">
        <Problem error={queue.error} />
        {queue.data === null ? <Waiting /> : <Waitings queue={queue.data} />}
      </Section>
    </>
  );
}

function Leading({ leader }: { readonly leader: Leader }) {
  const age = leader.lastCommitAgeSeconds;
  return (
    <>
      <p aria-live="polite">
        <strong class="leader">{leader.holder}</strong>{' '}
        {leader.leading === false ? 'led last, from' : 'leads since'} <When at={leader.since} />,
        term {leader.epoch}.
      </p>
      {leader.leading === false ? (
        <p class="problem" role="alert">
          Nobody leads now{age === undefined ? '' : `: the last commit was ${span(age)} ago`}.
          {leader.lockTakenBy === undefined
            ? null
            : ` Why: ${lockTaken('leader', leader.lockTakenBy)}.`}
        </p>
      ) : null}
      <Working leader={leader} />
      <dl class="facts">
        <Fact name="Version">{leader.version}</Fact>
        <Fact name="Address">{leader.address}</Fact>
        <Fact name="Last row">{leader.headSeq}</Fact>
        <Fact name="Last commit">{age === undefined ? '–' : `${span(age)} ago`}</Fact>
        <Fact name="Database incarnation" wide>
          <code>{leader.incarnation}</code>
        </Fact>
      </dl>
      <p>
        <a href={links.log({ kind: 'leadership' })}>Earlier leaders</a>
      </p>
    </>
  );
}

/** Whether ticks come; and if they do, whether the leader commits them. */
function Working({ leader }: { readonly leader: Leader }) {
  const { leading, working, workersLockTakenBy: taken, lastCommitAgeSeconds: age = 0 } = leader;
  if (working === false) {
    const why = taken === undefined ? NOBODY_WORKS : lockTaken('workers', taken);
    return (
      <p class="problem" role="alert">
        {asSentence(why)}
      </p>
    );
  }
  if (leading === false || age <= LATE_SECONDS) return null;
  return (
    <p class="problem" role="alert">
      No commit for {span(age)}:{' '}
      {leading === true
        ? 'the leader is stuck, or waits for the database'
        : 'no process leads, or its database does not answer'}
      .
    </p>
  );
}

function Waitings({ queue }: { readonly queue: Queue }) {
  return (
    <>
      <dl class="facts">
        <Fact name="Inputs waiting">{queue.rows}</Fact>
        <Fact name="Oldest">{span(queue.oldestSeconds)}</Fact>
        <Fact name="Set aside">
          {queue.dead}
          {queue.dead === 0 || queue.deadLastDay === undefined
            ? ''
            : `, ${queue.deadLastDay} in the last day`}
        </Fact>
      </dl>
      {queue.latestDead.length === 0 ? null : (
        <ul class="lines">
          {queue.latestDead.map((dead) => (
            <li key={dead.inputId}>
              {dead.kind} {dead.hostname} <When at={dead.diedAt} />:{' '}
              <span class="problem">{dead.error}</span>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
