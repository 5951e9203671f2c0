/** Rows of the event log: a line each, and on demand the facts and the chain of causes. */
import { useRef, useState } from 'preact/hooks';
import type { LogEvent, LogPage } from '../../../src/wire/log-event.ts';
import { get, type ApiError } from '../api.ts';
import { links, Problem, shortId, When } from '../parts/basics.tsx';
import { summary } from '../../../src/wire/log-summary.ts';

export function EventList({
  events,
  incarnation,
}: {
  readonly events: readonly LogEvent[];
  /** A cursor: its beginning names the database. */
  readonly incarnation: string;
}) {
  if (events.length === 0) return <p class="muted">No rows.</p>;
  return (
    <ol class="events">
      {events.map((event) => (
        <li key={event.seq}>
          <Row event={event} />
          <Causes event={event} incarnation={incarnation} />
        </li>
      ))}
    </ol>
  );
}

function Row({ event }: { readonly event: LogEvent }) {
  return (
    <p>
      <span class="seq">{event.seq}</span>{' '}
      <strong>
        <bdi>{summary(event)}</bdi>
      </strong>{' '}
      {event.host === undefined ? null : <a href={links.host(event.host)}>{event.host}</a>}{' '}
      {event.rolloutId === undefined ? null : (
        <a href={links.rollout(event.rolloutId)}>{shortId(event.rolloutId)}</a>
      )}{' '}
      <span class="muted">
        {event.actor === undefined || event.actor === event.host ? '' : `by ${event.actor}, `}
        <When at={event.ts} />
      </span>
    </p>
  );
}

/** Longer chains are cut, and say so. */
const MOST_CAUSES = 20;

/** One row, as it is in the log. */
async function rowOf(seq: number, cursor: string, whole: boolean): Promise<LogEvent | undefined> {
  const [incarnation = ''] = cursor.split(':');
  const query = new URLSearchParams({ after: `${incarnation}:${seq - 1}`, limit: '1' });
  if (whole) query.set('whole', 'true');
  const [found] = (await get<LogPage>(`/v1/events?${query}`)).events;
  // Retention may have detached it.
  return found?.seq === seq ? found : undefined;
}

async function chainOf(event: LogEvent, cursor: string): Promise<LogEvent[]> {
  const chain: LogEvent[] = [];
  let cause = event.causedBy;
  while (cause !== undefined && chain.length < MOST_CAUSES) {
    const found = await rowOf(cause, cursor, false);
    if (found === undefined) break;
    chain.push(found);
    cause = found.causedBy;
  }
  return chain;
}

function Causes({
  event,
  incarnation,
}: {
  readonly event: LogEvent;
  readonly incarnation: string;
}) {
  const [chain, setChain] = useState<readonly LogEvent[] | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const load = (open: boolean): void => {
    if (!open || chain !== null) return;
    chainOf(event, incarnation).then(setChain, setError);
  };
  return (
    <details onToggle={(toggled) => load(toggled.currentTarget.open)}>
      <summary>
        {event.causedBy === undefined ? 'Facts' : 'Facts and causes'}
        <span class="hidden"> of row {event.seq}</span>
      </summary>
      <Problem error={error} />
      {event.causedBy === undefined || chain === null ? null : (
        <>
          <p class="muted">Because of:</p>
          <ol class="chain">
            {chain.map((cause) => (
              <li key={cause.seq}>
                <Row event={cause} />
              </li>
            ))}
          </ol>
        </>
      )}
      <Facts event={event} incarnation={incarnation} />
    </details>
  );
}

/** A large row comes in brief: the rest of it is fetched when somebody wants it. */
function Facts({ event, incarnation }: { readonly event: LogEvent; readonly incarnation: string }) {
  const [whole, setWhole] = useState<LogEvent | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const shown = whole ?? event;
  const left = Object.entries(shown.omitted ?? {});
  const facts = useRef<HTMLPreElement>(null);
  const load = (): void => {
    // The button goes, and must not take the focus with it.
    facts.current?.focus();
    rowOf(event.seq, incarnation, true).then((row) => setWhole(row ?? null), setError);
  };
  return (
    <>
      <pre ref={facts} tabindex={0} aria-label={`Facts of row ${event.seq}`}>
        {JSON.stringify(shown.payload, null, 1)}
      </pre>
      <Problem error={error} />
      {left.length === 0 ? null : (
        <p class="muted">
          Left out here:{' '}
          {left
            .map(([name, { bytes, items }]) =>
              items === undefined
                ? `${name} (${size(bytes)})`
                : `${name} (${items}, ${size(bytes)})`,
            )
            .join(', ')}
          .{' '}
          <button type="button" onClick={load}>
            Show all of it
          </button>
        </p>
      )}
    </>
  );
}

function size(bytes: number): string {
  return bytes < 1_000_000
    ? `${Math.ceil(bytes / 1_000)} kB`
    : `${(bytes / 1_000_000).toFixed(1)} MB`;
}
