/** Terms, batches and commits of the process that leads. */
import { ROWS, SECONDS, type MetricSpecs } from './spec.ts';

export const LEADER_METRICS = {
  muster_leader_leading: {
    type: 'gauge',
    labels: [],
    help: '1 while this process leads.',
  },
  muster_leader_epoch: {
    type: 'gauge',
    labels: [],
    help: 'The last epoch that this process led in.',
  },
  muster_leader_terms_ended_total: {
    type: 'counter',
    labels: ['why'],
    help: 'Terms of this process by how they ended: stopped, lock-lost, clock-stepped (the clock of the database was set), fenced, failed.',
  },
  muster_leader_evictions_total: {
    type: 'counter',
    labels: [],
    help: 'Transactions of a frozen former leader that held the epoch, and that this process ended as it took over.',
  },
  muster_leader_new_databases_total: {
    type: 'counter',
    labels: [],
    help: 'Takeovers of this process that found another database than the term before: a promoted standby, or a restored backup.',
  },
  muster_leader_new_database_time_seconds: {
    type: 'gauge',
    labels: [],
    help: 'When this process last took over in another database than the term before, Unix time in seconds; 0: never.',
  },
  muster_leader_inputs_total: {
    type: 'counter',
    labels: ['kind', 'verdict'],
    help: 'Inputs decided and committed. `dead` could not be decided and are kept in dead_input; of kind `unknown` are those of a kind that this version has not got.',
  },
  muster_leader_log_rows_total: {
    type: 'counter',
    labels: [],
    help: 'Event-log rows committed.',
  },
  muster_leader_batch_rows: {
    type: 'histogram',
    labels: [],
    help: 'How many inputs shared one commit.',
    buckets: ROWS,
  },
  muster_leader_commit_seconds: {
    type: 'histogram',
    labels: [],
    help: 'Writing and committing one batch.',
    buckets: SECONDS,
  },
  muster_leader_doubtful_commits_total: {
    type: 'counter',
    labels: ['fate'],
    help: 'Commits that were not answered, by what was read back: committed, not-committed, unknown. The term ends with each.',
  },
  muster_leader_takeover_seconds: {
    type: 'histogram',
    labels: [],
    help: 'From winning the lock to the first commit, the loading of the state included.',
    buckets: SECONDS,
  },
} as const satisfies MetricSpecs;
