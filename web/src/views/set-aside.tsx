/** What is set aside until somebody does something: closures that failed, and hosts that wait for a reboot. */
import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { DeferralList, QuarantineList } from '../../../src/wire/overview.ts';
import { path } from '../api.ts';
import { useLongList, type LongList } from '../long-list.ts';
import { briefHash, Hash, links, Problem, Section, When } from '../parts/basics.tsx';
import { CommandButton } from '../parts/command-button.tsx';

export function Quarantines() {
  const list = useLongList('/v1/quarantines', (page: QuarantineList) => page.quarantines, {
    concerns: ({ kind }) => kind === 'transition' || kind === 'operator_command',
  });
  return (
    <SetAside title="Quarantined closures" what="closures" list={list}>
      {list.rows?.map((q) => (
        <li key={`${q.channel} ${q.closure}`}>
          <Hash text={q.closure} /> on {q.channel}: failed on{' '}
          <a href={links.host(q.hostname)}>{q.hostname}</a> <When at={q.at} />{' '}
          <CommandButton
            short="Clear"
            label={`Clear ${briefHash(q.closure)} on ${q.channel}`}
            about={`Lets ${q.closure} be dispatched again on ${q.channel}. Whoever failed with it before may fail again.`}
            command="ClearQuarantine"
            reaches={[q.channel]}
            path={path`/v1/quarantines/${q.channel}/${q.closure}/clear`}
            expectedSeq={q.seq}
            danger
            onDone={list.reload}
          />
        </li>
      ))}
    </SetAside>
  );
}

export function Deferrals() {
  const list = useLongList('/v1/deferrals', (page: DeferralList) => page.deferrals, {
    concerns: ({ kind }) => kind === 'transition',
  });
  return (
    <SetAside title="Waiting for a reboot" what="hosts" list={list}>
      {list.rows?.map((d) => (
        <li key={`${d.hostname} ${d.rolloutId}`}>
          <a href={links.host(d.hostname)}>{d.hostname}</a> {d.component}{' '}
          {d.deferredAt === undefined ? null : <When at={d.deferredAt} />}
        </li>
      ))}
    </SetAside>
  );
}

/** Not there while there is nothing; but that it cannot be read is no nothing. */
function SetAside({
  title,
  what,
  list: { rows, error, showMore },
  children,
}: {
  readonly title: string;
  readonly what: string;
  readonly list: LongList<unknown>;
  readonly children: ComponentChildren;
}) {
  const shown = rows?.length ?? 0;
  const lines = useRef<HTMLUListElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  /** How many were shown when more was asked for. */
  const before = useRef(Infinity);
  useLayoutEffect(() => {
    if (shown <= before.current) return;
    const first = lines.current?.children.item(before.current)?.querySelector('a');
    before.current = Infinity;
    // With the last rows the button goes, and the focus would be on nothing. Whoever went elsewhere stays there.
    const { activeElement } = document;
    if (activeElement === button.current || activeElement === document.body) first?.focus();
  }, [shown]);
  if (shown === 0 && error === null) return null;
  return (
    <Section title={title}>
      <Problem error={error} />
      <ul class="lines" ref={lines}>
        {children}
      </ul>
      {showMore === null ? null : (
        <p>
          The first {shown.toLocaleString('en')} are shown.{' '}
          <button
            type="button"
            ref={button}
            onClick={() => {
              before.current = shown;
              showMore();
            }}
          >
            Show more {what}
          </button>
        </p>
      )}
    </Section>
  );
}
