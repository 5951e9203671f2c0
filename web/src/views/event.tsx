/** Rows of the event log: a line each, and on demand the facts and the chain of causes. */
import { useState } from 'preact/hooks';
import type { LogEvent, LogPage } from '../../../src/wire/log-event.ts';
import { get, type ApiError } from '../api.ts';
import { links, Problem, shortId, When } from '../parts/basics.tsx';

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
      <span class="seq">{event.seq}</span> <strong>{summary(event)}</strong>{' '}
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

/** The facts that make a row worth reading, in a few words. */
export function summary({ kind, payload }: LogEvent): string {
  const facts = (payload ?? {}) as Readonly<Record<string, unknown>>;
  const text = (name: string): string => (typeof facts[name] === 'string' ? facts[name] : '');
  switch (kind) {
    case 'agent_event': {
      const event = facts['event'] as { kind?: unknown } | undefined;
      const verdict = text('verdict');
      return `${typeof event?.kind === 'string' ? event.kind : 'event'}${verdict === 'applied' ? '' : ` ${verdict}`}`;
    }
    case 'host_report':
      return 'Heartbeat with news';
    case 'transition':
      return `${text('from')} → ${text('to')}`;
    case 'rollout_event':
      return text('from') === text('to')
        ? text('event')
        : `${text('event')}: ${text('from')} → ${text('to')}`;
    case 'plan_action':
      return text('action');
    case 'gate_decision': {
      const gates = Array.isArray(facts['gates']) ? facts['gates'].join(', ') : '';
      const hosts = Array.isArray(facts['hosts']) ? facts['hosts'].length : 0;
      return `${gates === '' ? 'Held by nothing more' : `Held by ${gates}`}${hosts > 1 ? ` (${hosts} hosts)` : ''}`;
    }
    case 'verify_outcome':
      return text('artifact') === 'trust'
        ? 'Trust file changed'
        : `Verification of ${text('artifact')}: ${text('reason') || 'ok'}`;
    case 'manifest_set':
      return text('verdict') === 'refused' ? 'Older manifest set refused' : 'Manifest set';
    case 'operator_command':
      return `Command ${(facts['command'] as { command?: string } | undefined)?.command ?? ''}`;
    case 'liveness':
      return text('event');
    case 'enrolment':
      return `${text('event')}${text('code') === '' ? '' : `: ${text('code')}`}`;
    case 'leadership':
      return 'New leader';
  }
}

/** Longer chains are cut, and say so. */
const MOST_CAUSES = 20;

async function chainOf(event: LogEvent, cursor: string): Promise<LogEvent[]> {
  const [incarnation = ''] = cursor.split(':');
  const chain: LogEvent[] = [];
  let cause = event.causedBy;
  while (cause !== undefined && chain.length < MOST_CAUSES) {
    const query = new URLSearchParams({ after: `${incarnation}:${cause - 1}`, limit: '1' });
    const page = await get<LogPage>(`/v1/events?${query}`);
    const found = page.events[0];
    // Retention may have detached it.
    if (found?.seq !== cause) break;
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
      <pre tabindex={0} aria-label={`Facts of row ${event.seq}`}>
        {JSON.stringify(event.payload, null, 1)}
      </pre>
    </details>
  );
}
