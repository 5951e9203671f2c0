/**
 * All hosts of a rollout: read once, page by page, then kept true by the rows of the log. Reading thousands
 * again for every change would cost more than the rollout itself.
 */
import { useContext, useEffect, useState } from 'preact/hooks';
import type { LogEvent } from '../../../src/wire/log-event.ts';
import type { RolloutHosts } from '../../../src/wire/operator.ts';
import { ApiError, get, path } from '../api.ts';
import { LiveContext } from '../live.ts';
import type { GridHost } from '../parts/grid.tsx';

export interface WaveHosts {
  readonly wave: number;
  readonly hosts: readonly GridHost[];
}

interface Known extends GridHost {
  readonly wave: number;
}

/** Twenty thousand cells are what a browser lays out without a pause that is felt. */
export const MOST = 20_000;
/** Of more than that, these are never left out: a person looks for them. */
const IN_NEED = ['Failed', 'Reverted'] as const;
/** The grid is drawn anew at most this often: four times a second looks alive. */
const DRAW_EVERY_MS = 250;

export interface RolloutHostsRead {
  readonly waves: readonly WaveHosts[];
  /** There are more than are shown. */
  readonly cut: boolean;
  readonly error: ApiError | null;
  readonly loading: boolean;
}

export function useRolloutHosts(id: string): RolloutHostsRead {
  const { subscribe } = useContext(LiveContext);
  const [read, setRead] = useState<RolloutHostsRead>(NOTHING);
  useEffect(() => {
    const keeper = keep(id, setRead);
    const unsubscribe = subscribe((event) => {
      if (event === null) void keeper.readAll();
      else if (event.rolloutId === id) keeper.take(event);
      else if (event.kind === 'liveness') keeper.heard(event);
    });
    return () => {
      unsubscribe();
      keeper.stop();
    };
  }, [id, subscribe]);
  return read;
}

const NOTHING: RolloutHostsRead = { waves: [], cut: false, error: null, loading: true };

interface Keeper {
  readAll(): Promise<void>;
  take(event: LogEvent): void;
  /** Whether hosts are heard. */
  heard(event: LogEvent): void;
  stop(): void;
}

function keep(id: string, show: (read: RolloutHostsRead) => void): Keeper {
  const stop = new AbortController();
  let hosts = new Map<string, Known>();
  /** Rows that came while all hosts were read: applied after, whichever page they hit. */
  let early: LogEvent[] | null = null;
  let cut = false;
  /** Something of which only a new read tells came while all hosts were read. */
  let again = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const draw = (): void => {
    timer ??= setTimeout(() => {
      timer = undefined;
      show({ waves: byWave(hosts.values()), cut, error: null, loading: false });
    }, DRAW_EVERY_MS);
  };
  const readAll = async (): Promise<void> => {
    if (early !== null) {
      again = true;
      return;
    }
    early = [];
    again = false;
    try {
      const found = await mostHosts(id, stop.signal);
      ({ hosts, cut } = found);
      for (const event of early) apply(hosts, event);
      draw();
    } catch (error) {
      if (!stop.signal.aborted) {
        show({ ...NOTHING, loading: false, error: error as ApiError });
        setTimeout(() => void readAll(), 2_000);
      }
    } finally {
      early = null;
    }
    if (again && !stop.signal.aborted) await readAll();
  };
  void readAll();
  return {
    readAll,
    take: (event) => {
      early?.push(event);
      if (apply(hosts, event)) draw();
      if (isUntold(event) || (cut && isNewlyInNeed(hosts, event))) void readAll();
    },
    heard: (event) => {
      if (isAboutMoving(hosts, event)) void readAll();
    },
    stop: () => {
      stop.abort();
      clearTimeout(timer);
    },
  };
}

/** Those who come first by wave and name, and before them, where that is not everybody, those in need. */
async function mostHosts(
  id: string,
  signal: AbortSignal,
): Promise<{ hosts: Map<string, Known>; cut: boolean }> {
  const first = await pages(id, {}, signal);
  if (!first.cut) return first;
  const hosts = new Map<string, Known>();
  for (const state of IN_NEED)
    for (const [name, host] of (await pages(id, { state }, signal)).hosts) hosts.set(name, host);
  for (const [name, host] of first.hosts) {
    if (hosts.size >= MOST) break;
    hosts.set(name, host);
  }
  return { hosts, cut: true };
}

async function pages(
  id: string,
  of: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<{ hosts: Map<string, Known>; cut: boolean }> {
  const hosts = new Map<string, Known>();
  let cursor: string | undefined;
  do {
    const from = cursor === undefined ? {} : { cursor };
    const query = new URLSearchParams({ all: 'true', ...of, ...from });
    const page = await get<RolloutHosts>(`${path`/v1/rollouts/${id}/hosts`}?${query}`, signal);
    for (const { host, wave, state, blocked, closed } of page.hosts) {
      hosts.set(host, { name: host, wave, state, blocked, closed });
    }
    cursor = page.nextCursor;
  } while (cursor !== undefined && hosts.size < MOST);
  return { hosts, cut: cursor !== undefined };
}

/** Somebody who was left out is in need now. */
function isNewlyInNeed(
  hosts: ReadonlyMap<string, Known>,
  { kind, host = '', payload }: LogEvent,
): boolean {
  const { to } = (payload ?? {}) as { readonly to?: unknown };
  return kind === 'transition' && !hosts.has(host) && IN_NEED.some((state) => state === to);
}

/** A row about so many hosts that the stream leaves their names out: whom it concerns only a new read tells. */
function isUntold({ kind, omitted }: LogEvent): boolean {
  return (kind === 'gate_decision' || kind === 'plan_action') && omitted?.['hosts'] !== undefined;
}

/** Who falls silent on its way, or is heard again, may be held by that alone: what else holds it only a new read tells. */
function isAboutMoving(
  hosts: ReadonlyMap<string, Known>,
  { host, payload, omitted }: LogEvent,
): boolean {
  if (omitted?.['hosts'] !== undefined) return true;
  const { hosts: silent = [] } = (payload ?? {}) as { hosts?: readonly { hostname: string }[] };
  const named = host === undefined ? silent.map(({ hostname }) => hostname) : [host];
  return named.some((name) => ON_ITS_WAY.has(hosts.get(name)?.state ?? ''));
}

/** A host that failed may be on its way back. */
const ON_ITS_WAY: ReadonlySet<string> = new Set(['Activating', 'Soaking', 'Failed']);

/** What a row of the log changes of what is shown; false: nothing. */
function apply(hosts: Map<string, Known>, { kind, host, payload }: LogEvent): boolean {
  const facts = (payload ?? {}) as Readonly<Record<string, unknown>>;
  const known = host === undefined ? undefined : hosts.get(host);
  switch (kind) {
    case 'transition':
      if (known === undefined || typeof facts['to'] !== 'string') return false;
      hosts.set(known.name, {
        ...known,
        state: facts['to'],
        blocked: isHeldAfter(known, facts),
        // A write-off is a transition to the state that it is in.
        closed: typeof facts['closed'] === 'string' ? facts['closed'] : known.closed,
      });
      return true;
    case 'gate_decision': {
      if (facts['scope'] !== 'host' || !Array.isArray(facts['gates'])) return false;
      const blocked = facts['gates'].length > 0;
      const named = Array.isArray(facts['hosts']) ? (facts['hosts'] as string[]) : [host ?? ''];
      for (const name of named) {
        const one = hosts.get(name);
        if (one !== undefined) hosts.set(name, { ...one, blocked });
      }
      return true;
    }
    case 'plan_action':
      return applyPlan(hosts, known, facts);
    default:
      return false;
  }
}

/** Granted is held until it is acknowledged; what is taken back is held by what a row of its own says. */
function applyPlan(
  hosts: Map<string, Known>,
  known: Known | undefined,
  facts: Readonly<Record<string, unknown>>,
): boolean {
  if (facts['action'] === 'WithdrawDispatch' && Array.isArray(facts['hosts'])) {
    for (const name of facts['hosts'] as string[]) {
      const one = hosts.get(name);
      if (one !== undefined) hosts.set(name, { ...one, blocked: false });
    }
    return true;
  }
  if (known === undefined) return false;
  const granted = facts['action'] === 'QueueDispatch';
  const blocked = granted || (known.blocked && !isUnblocking(facts));
  hosts.set(known.name, { ...known, blocked });
  return true;
}

/** Of a host that went from one state to another. A dispatch holds as long as it is Pending, a reboot while Deferred. */
function isHeldAfter(known: Known, facts: Readonly<Record<string, unknown>>): boolean {
  if (typeof facts['closed'] === 'string' || known.closed !== undefined) return false;
  if (facts['to'] === 'Deferred') return true;
  const moved = facts['to'] !== known.state;
  if (moved && (known.state === 'Pending' || known.state === 'Deferred')) return false;
  return known.blocked && !isUnblocking(facts);
}

/** What was noted of the host goes with this row; else a row of its own says so, and what stands stays. */
function isUnblocking({ changes }: Readonly<Record<string, unknown>>): boolean {
  return (
    Array.isArray(changes) && changes.some((change: { t?: unknown }) => change.t === 'blocker')
  );
}

function byWave(hosts: Iterable<Known>): WaveHosts[] {
  const waves = new Map<number, GridHost[]>();
  for (const host of hosts) {
    const wave = waves.get(host.wave) ?? [];
    waves.set(host.wave, wave);
    wave.push(host);
  }
  return [...waves].map(([wave, of]) => ({ wave, hosts: of })).sort((a, b) => a.wave - b.wave);
}
