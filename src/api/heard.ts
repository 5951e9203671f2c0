/**
 * What the database knows of the hosts that speak: one gathered statement for many heartbeats, and its rows
 * as the reducer's read functions want them.
 */
import { readHeard, type HeardRow } from '../db/presence.ts';
import type { HostState } from '../reducer/host/record.ts';
import type { HeardHost, HeardRecord } from '../reducer/read/heartbeat.ts';
import type { RolloutState } from '../reducer/rollout/states.ts';
import { HOST_STATE_NAMES, ROLLOUT_STATE_NAMES } from '../wire/states.ts';
import type { ApiDeps } from './deps.ts';
import { gather } from './gather.ts';

export interface Heard extends HeardHost {
  readonly hostname: string;
  /** An input of the host waits for the leader. */
  readonly queued: boolean;
  readonly missedLately: boolean;
  readonly heardMsAgo: number | null;
  /** Gaps that were already said to this host. */
  readonly said: readonly string[];
}

export interface Question {
  readonly hostname: string;
  /** Rollouts that the heartbeat names. */
  readonly stated: readonly string[];
}

function named<T extends string>(names: readonly T[], name: string): T {
  const found = names.find((candidate) => candidate === name);
  if (found === undefined) throw new Error(`the database holds the unknown state ${name}`);
  return found;
}

function recordOf(row: HeardRow): HeardRecord[] {
  if (row.rollout_id === null) return [];
  const state: HostState = named(HOST_STATE_NAMES, row.state);
  const rolloutState: RolloutState = named(ROLLOUT_STATE_NAMES, row.rollout_state);
  return [
    {
      rolloutId: row.rollout_id,
      hostname: row.hostname,
      channel: row.channel,
      state,
      targetClosure: row.target_closure,
      currentClosureAtDispatch: row.current_closure_at_dispatch,
      currentClosure: row.current_closure,
      dispatchedAt: row.dispatched_at,
      dispatchAckedAt: row.dispatch_acked_at,
      activationStartedAt: row.activation_started_at,
      activationCompletedAt: row.activation_completed_at,
      soakDueAt: row.soak_due_at,
      lastEventSeq: row.last_event_seq,
      highestRefusedSeq: row.highest_refused_seq,
      closed: null,
      lastAcceptedAt: row.last_accepted_at,
      synthesised: row.synthesised,
      synthesisedAt: row.synthesised_at,
      contradictedBy: row.contradicted_by,
      rolloutState,
      newest: row.newest,
    },
  ];
}

function heardOf(hostname: string, rows: readonly HeardRow[]): Heard {
  const [first] = rows;
  return {
    hostname,
    reachability: first?.reachability ?? 'never',
    reportedClosure: first?.reported_closure ?? null,
    queued: first?.queued ?? false,
    missedLately: first?.missed_lately ?? false,
    heardMsAgo: first?.heard_ms_ago ?? null,
    said: (first?.replay_said ?? '').split(' ').filter((word) => word !== ''),
    records: rows.flatMap(recordOf),
  };
}

function grouped(rows: readonly HeardRow[]): ReadonlyMap<string, readonly HeardRow[]> {
  const groups = new Map<string, HeardRow[]>();
  for (const row of rows) {
    const group = groups.get(row.hostname);
    if (group === undefined) groups.set(row.hostname, [row]);
    else group.push(row);
  }
  return groups;
}

/**
 * Before a host is asked about, and never between that and its answer, which would be older than what the host did meanwhile.
 * A heartbeat comes once a minute, and its answer is awaited for ten seconds. Who is read together is noted with presence
 * together, too.
 */
const HEARTBEATS_APART_MS = 100;

/** Asks about one host; many ask at once. */
export function heardReader({
  pool,
  metrics,
  clock,
}: ApiDeps): (question: Question) => Promise<Heard> {
  return gather<Question, Heard>({
    clock,
    apartMs: HEARTBEATS_APART_MS,
    onRun: (size) => {
      metrics.observe('muster_api_gathered_rows', { statement: 'heard' }, size);
    },
    run: async (questions) => {
      const hosts = [...new Set(questions.map(({ hostname }) => hostname))];
      const stated = [...new Set(questions.flatMap((question) => question.stated))];
      const rows = await pool.run((sql) => readHeard(sql, hosts, stated));
      const byHost = grouped(rows);
      return questions.map(({ hostname }) => heardOf(hostname, byHost.get(hostname) ?? []));
    },
  });
}
