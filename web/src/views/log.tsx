/** The event log: its newest rows, as they come, filtered by kind, rollout and host. */
import { useContext, useEffect, useState } from 'preact/hooks';
import type { LogEvent, LogPage } from '../../../src/wire/log-event.ts';
import type { HostList } from '../../../src/wire/operator.ts';
import { get, type ApiError } from '../api.ts';
import { LiveContext } from '../live.ts';
import { useRolloutNamed } from '../rollout-name.ts';
import { Problem, Waiting } from '../parts/basics.tsx';
import { EventList } from './event.tsx';

/** What a person looks for most comes first. The type makes a kind that is missing here an error. */
const KINDS = Object.keys({
  enrolment: true,
  operator_command: true,
  rollout_event: true,
  transition: true,
  plan_action: true,
  gate_decision: true,
  agent_event: true,
  host_report: true,
  liveness: true,
  manifest_set: true,
  verify_outcome: true,
  leadership: true,
} satisfies Record<LogEvent['kind'], true>);
/** Enough for a screen or three; older rows are an export's business. */
const MOST = 200;
const DRAW_EVERY_MS = 500;
/** A rollout of thousands writes many rows about several hosts in a second. */
const ASK_EVERY_MS = 1_000;

export interface LogFilter {
  readonly kind: string;
  readonly rollout: string;
  readonly host: string;
}

export function Log({ filter }: { readonly filter: LogFilter }) {
  const [paused, setPaused] = useState(false);
  const addressOf = (part: Partial<LogFilter>): string => {
    const entries = Object.entries({ ...filter, ...part }).filter(([, value]) => value !== '');
    return `#/log?${new URLSearchParams(Object.fromEntries(entries))}`;
  };
  const change = (part: Partial<LogFilter>): void => {
    location.hash = addressOf(part);
  };
  const named = useRolloutNamed(filter.rollout, (rollout) =>
    // What was typed is no page to come back to.
    location.replace(addressOf({ rollout })),
  );
  const tail = useTail({ ...filter, rollout: named.rollout }, paused);
  const { page, waiting } = tail;
  const error = named.error ?? tail.error;
  const unknown = useUnknownHost(filter.host, page);
  return (
    <>
      <div class="bar">
        <h1>Event log</h1>
        <button type="button" aria-pressed={paused} onClick={() => setPaused(!paused)}>
          {paused ? `Go on (${waiting} new)` : 'Pause'}
        </button>
      </div>
      <div class="bar filters" role="search">
        <label class="inline">
          Kind
          <select
            value={filter.kind}
            onChange={(event) => change({ kind: event.currentTarget.value })}
          >
            <option value="">all</option>
            {KINDS.map((kind) => (
              <option key={kind} value={kind}>
                {kind}
              </option>
            ))}
          </select>
        </label>
        <label class="inline">
          Rollout
          <input
            value={filter.rollout}
            placeholder="channel or channel@ref"
            onChange={(event) => change({ rollout: event.currentTarget.value.trim() })}
          />
        </label>
        <label class="inline">
          Host
          <input
            value={filter.host}
            onChange={(event) => change({ host: event.currentTarget.value.trim() })}
          />
        </label>
      </div>
      <Problem error={error} />
      {unknown ? (
        <p class="notice" role="status">
          There is no host {filter.host}
          {page?.events.length === 0 ? '.' : ': these rows are about every host.'}
        </p>
      ) : null}
      {page === null && error === null ? <Waiting /> : null}
      {page === null || named.rollout === null ? null : (
        <EventList events={page.events} incarnation={page.cursor} />
      )}
    </>
  );
}

interface Shown {
  readonly events: readonly LogEvent[];
  readonly cursor: string;
}

/** A pause of the fleet is about every host, and so about one that does not exist: that must not look like an answer. */
function useUnknownHost(host: string, page: Shown | null): boolean {
  const [unknown, setUnknown] = useState('');
  const isSeen = host === '' || page === null || page.events.some((event) => event.host === host);
  useEffect(() => {
    if (isSeen) return undefined;
    const stop = new AbortController();
    const query = new URLSearchParams({ prefix: host, limit: '1' });
    get<HostList>(`/v1/hosts?${query}`, stop.signal).then(
      ({ hosts }) => setUnknown(hosts[0]?.hostname === host ? '' : host),
      () => undefined, // the log itself says what is wrong
    );
    return () => stop.abort();
  }, [host, isSeen]);
  return !isSeen && unknown === host;
}

type Wanted = Omit<LogFilter, 'rollout'> & { readonly rollout: string | null };

/** Of a row about several hosts the server knows whether one is among them, and whose pause a pause is: `ask` it. */
function matches(event: LogEvent, { kind, rollout, host }: Wanted): boolean | 'ask' {
  if (kind !== '' && event.kind !== kind) return false;
  if (rollout !== '' && event.rolloutId !== rollout) return false;
  if (host === '' || event.host === host) return true;
  return event.host === undefined ? 'ask' : false;
}

/** Newest first. While paused, new rows are counted and kept back. Nothing is read while no rollout is known. */
function useTail(
  filter: Wanted,
  paused: boolean,
): { page: Shown | null; error: ApiError | null; waiting: number } {
  const { subscribe } = useContext(LiveContext);
  const [page, setPage] = useState<Shown | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [waiting, setWaiting] = useState(0);
  const { kind, rollout, host } = filter;
  useEffect(() => {
    if (rollout === null) return undefined;
    const stop = new AbortController();
    let fresh: LogEvent[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    let asking: ReturnType<typeof setTimeout> | undefined;
    const read = async (how: 'anew' | 'more'): Promise<void> => {
      const wanted = Object.entries({ kind, rollout, host }).filter(([, value]) => value !== '');
      const query = new URLSearchParams({ last: String(MOST), ...Object.fromEntries(wanted) });
      try {
        const found = await get<LogPage>(`/v1/events?${query}`, stop.signal);
        const { events, cursor } = found;
        setPage((old) => ({ events: merge(events, how === 'more' ? old?.events : []), cursor }));
        setError(null);
      } catch (problem) {
        if (!stop.signal.aborted) setError(problem as ApiError);
      }
    };
    const add = (): void => {
      timer = undefined;
      const rows = fresh;
      fresh = [];
      setPage((old) => (old === null ? old : { ...old, events: merge(rows, old.events) }));
    };
    if (!paused) {
      setWaiting(0);
      void read('anew');
    }
    const ask = (): void => {
      asking = undefined;
      void read('more');
    };
    const unsubscribe = subscribe((event) => {
      if (event === null) {
        if (!paused) void read('anew');
        return;
      }
      const found = matches(event, { kind, rollout, host });
      if (found === 'ask') {
        if (!paused) asking ??= setTimeout(ask, ASK_EVERY_MS);
      } else if (found) {
        if (paused) setWaiting((n) => n + 1);
        else {
          fresh.push(event);
          if (fresh.length > MOST) fresh.shift();
          timer ??= setTimeout(add, DRAW_EVERY_MS);
        }
      }
    });
    return () => {
      stop.abort();
      clearTimeout(timer);
      clearTimeout(asking);
      unsubscribe();
    };
  }, [kind, rollout, host, paused, subscribe]);
  return { page, error, waiting };
}

/** A row may come by the stream and by the page, and by the page after later ones. */
function merge(some: readonly LogEvent[], others: readonly LogEvent[] = []): LogEvent[] {
  const rows = new Map([...others, ...some].map((event) => [event.seq, event]));
  return [...rows.values()].sort((a, b) => b.seq - a.seq).slice(0, MOST);
}
