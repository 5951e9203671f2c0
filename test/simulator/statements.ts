/** What replicas and workers read of the tables, after the statements of `src/db` of the same names. */
import type { SilentHost } from '../../src/db/housekeeping.ts';
import type { OfferRow } from '../../src/db/offers.ts';
import type { PresenceRow } from '../../src/db/presence.ts';
import type { Heard, Question } from '../../src/api/heard.ts';
import type { HeardRecord } from '../../src/reducer/read/heartbeat.ts';
import type { DispatchRow, RecordRow } from '../../src/reducer/state/rows.ts';
import { millisOf, type Millis } from '../../src/reducer/time.ts';
import type { Database, Presence } from './database.ts';
import { keyOf } from './tables.ts';

const REOFFER_MS = 30_000;
const AFTER_OLDER_MS = 60_000;
const MISSED_LATELY_MS = 5 * 60_000;

/** `readHeard` and what `heard.ts` makes of its rows. */
export function readHeard(db: Database, { hostname, stated }: Question): Heard {
  const host = db.data.tables.hosts.get(hostname);
  const presence = db.presence.get(hostname);
  const ago = (at: string | null | undefined): Millis | null =>
    at === null || at === undefined ? null : db.scheduler.now - millisOf(at);
  const missedAgo = ago(presence?.missedAt);
  return {
    hostname,
    reachability: host?.reachability ?? 'never',
    reportedClosure: host?.reportedClosure ?? null,
    queued: db.isQueued(hostname),
    missedLately: missedAgo !== null && missedAgo < MISSED_LATELY_MS,
    heardMsAgo: ago(presence?.heardAt),
    said: (presence?.said ?? '').split(' ').filter((word) => word !== ''),
    records: heardRecords(db, hostname, stated),
  };
}

const UNDER_WAY: readonly RecordRow['state'][] = ['Pending', 'Activating', 'Deferred', 'Soaking'];

function heardRecords(db: Database, hostname: string, stated: readonly string[]): HeardRecord[] {
  const { records, rollouts, channels } = db.data.tables;
  const found: HeardRecord[] = [];
  for (const record of records.values()) {
    if (record.hostname !== hostname || record.closed !== null) continue;
    const rollout = rollouts.get(record.rolloutId);
    if (rollout === undefined || rollout.state === 'Pruned') continue;
    if (!UNDER_WAY.includes(record.state) && !stated.includes(record.rolloutId)) continue;
    const newest = channels.get(record.channel)?.currentRolloutId === record.rolloutId;
    found.push({ ...record, rolloutState: rollout.state, newest });
  }
  return found;
}

function presenceOf(db: Database, hostname: string): Presence {
  const known = db.presence.get(hostname) ?? { heardAt: db.now, missedAt: null, said: '' };
  db.presence.set(hostname, known);
  return known;
}

export function writePresence(db: Database, row: PresenceRow): void {
  const presence = presenceOf(db, row.hostname);
  presence.heardAt = db.now;
  presence.said = row.replaySaid ?? presence.said;
}

export function writeMisses(db: Database, hosts: readonly string[]): void {
  for (const hostname of hosts) presenceOf(db, hostname).missedAt = db.now;
}

/** `offerDispatches` for one host. */
export function offerDispatch(db: Database, hostname: string): OfferRow | null {
  const mine = [...db.data.tables.dispatches.values()].filter((row) => row.hostname === hostname);
  const newest = mine.reduce<DispatchRow | null>(
    (best, row) => (best === null || row.ordinal > best.ordinal ? row : best),
    null,
  );
  if (newest === null || newest.suspended) return null;
  const dueMs = Math.max(0, dueAt(db, newest) - db.scheduler.now);
  const offered = dueMs === 0 && !db.isLocked(keyOf(newest));
  if (offered) recordOffer(db, newest);
  return {
    hostname,
    rollout_id: newest.rolloutId,
    target_closure: newest.targetClosure,
    soak_due_at: newest.soakDueAt,
    enqueued_at: newest.enqueuedAt,
    offered,
    due_ms: dueMs,
  };
}

function dueAt(db: Database, newest: DispatchRow): Millis {
  let due = 0;
  for (const offer of db.data.offers.values()) {
    if (offer.hostname !== newest.hostname) continue;
    const pause = offer.rolloutId === newest.rolloutId ? REOFFER_MS : AFTER_OLDER_MS;
    due = Math.max(due, millisOf(offer.last) + pause);
  }
  return due;
}

function recordOffer(db: Database, { rolloutId, hostname, enqueuedAt }: DispatchRow): void {
  const key = keyOf({ rolloutId, hostname });
  const before = db.data.offers.get(key);
  db.data.offers.set(key, {
    ...{ rolloutId, hostname },
    of: before?.of ?? enqueuedAt,
    first: before?.first ?? db.now,
    last: db.now,
  });
}

/** `dispatchesSince`. */
export function dispatchesSince(db: Database, seq: number): { head: number; hosts: string[] } {
  const rows = [...db.data.tables.dispatches.values()].filter((r) => r.seq > seq && !r.suspended);
  return {
    head: rows.reduce((head, row) => Math.max(head, row.seq), seq),
    hosts: rows.map((row) => row.hostname),
  };
}

/** `readSilentHosts`. */
export function silentHosts(db: Database, before: string, limit: number): SilentHost[] {
  const found: SilentHost[] = [];
  for (const host of db.data.tables.hosts.values()) {
    const lastHeardAt = db.presence.get(host.hostname)?.heardAt ?? null;
    if (host.reachability !== 'reachable' || (lastHeardAt ?? '') >= before) continue;
    if (host.reachabilityAt === null || host.reachabilityAt >= before) continue;
    found.push({ hostname: host.hostname, lastHeardAt });
  }
  return found.sort((a, b) => (a.hostname < b.hostname ? -1 : 1)).slice(0, limit);
}

/** `isAnyoneHeard`. */
export function isAnyoneHeard(db: Database, since: string): boolean {
  return [...db.presence.values()].some(({ heardAt }) => heardAt > since);
}
