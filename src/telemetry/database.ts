/** What the database does to all of it. */
import type { MetricSpecs } from './spec.ts';

export const DATABASE_METRICS = {
  muster_database_hears_notifications: {
    ...{ type: 'gauge', labels: [] },
    help: '1 while notifications of the database arrive at this process; at 0 everything waits for the next poll, half a second at most.',
  },
  muster_database_unconfirmed_commits_total: {
    ...{ type: 'counter', labels: ['by'] },
    help: 'Commits that PostgreSQL answered although the synchronous standby does not have them, since the wait was cancelled: of `inputs`, `commands` and `offers`, whose callers were answered 503, and of the `leader`.',
  },
  muster_database_abandoned_sessions_total: {
    ...{ type: 'counter', labels: ['role'] },
    help: 'Sessions whose statement hung for longer than anybody waited for it, and that a pool of this role asked PostgreSQL to end, once a second for as long as it does not: a standby is away, or a disk hangs.',
  },
  muster_database_lock_strangers: {
    ...{ type: 'gauge', labels: [] },
    help: "1 while a session that is no Muster's holds the leader's lock, so that nobody can lead.",
    measured: true,
  },
  muster_log_ahead_seconds: {
    ...{ type: 'gauge', labels: [] },
    help: "By how much the newest row of the event log is later than the database's clock, which dates rows; above 0 that clock was set back, and no time passes until it has caught up.",
    measured: true,
  },
  muster_database_notifications_held_ratio: {
    ...{ type: 'gauge', labels: [] },
    help: "How full the server's queue of notifications is, from 0 to 1: a session that listens and stays in a transaction fills it, and at 1 nothing commits that notifies.",
    measured: true,
  },
  muster_database_oldest_xmin_transactions: {
    ...{ type: 'gauge', labels: [] },
    help: "Transactions begun since the oldest snapshot that somebody holds, a standby's hot_standby_feedback included: vacuum cleans nothing newer. Others' sessions are seen only with pg_read_all_stats.",
    measured: true,
  },
  muster_database_oldest_transaction_seconds: {
    ...{ type: 'gauge', labels: [] },
    help: "Age of the oldest open transaction in the database, prepared ones included. Others' sessions are seen only with pg_read_all_stats.",
    measured: true,
  },
} as const satisfies MetricSpecs;
