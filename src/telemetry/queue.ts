/** What waits for the leader, and what became of it. */
import { ROWS, SECONDS, type MetricSpecs } from './spec.ts';

export const QUEUE_METRICS = {
  muster_queue_inputs_total: {
    type: 'counter',
    labels: ['outcome'],
    help: 'Inputs handed to the queue by what the caller learned: judged, queued, invalid, queue-full, database-away, draining; of operators also `repeated`, a command that was known, and `reused`, a key that belongs to another.',
  },
  muster_queue_gathered_rows: {
    type: 'histogram',
    labels: [],
    help: 'How many inputs shared one INSERT.',
    buckets: ROWS,
  },
  muster_queue_held_rows: {
    type: 'gauge',
    labels: [],
    help: 'Inputs that this process holds until PostgreSQL has taken them; from MUSTER_BATCHER_MAX_ROWS on more are 503.',
  },
  muster_queue_held_bytes: {
    type: 'gauge',
    labels: [],
    help: 'Payloads of those inputs; from 32 million on more are 503.',
  },
  muster_queue_early_verdicts: {
    type: 'gauge',
    labels: [],
    help: 'Verdicts that this process keeps for inputs whose INSERT is not answered yet, and late ones until the next INSERT ends; 20,000 at the most.',
  },
  muster_queue_verdict_seconds: {
    type: 'histogram',
    labels: [],
    help: 'From submitting an input to its verdict, where it came in time.',
    buckets: SECONDS,
  },
  muster_queue_rows: {
    type: 'gauge',
    labels: [],
    help: 'Inputs waiting for the leader, as this replica last saw it; counted up to the limit.',
  },
  muster_queue_bytes: {
    type: 'gauge',
    labels: [],
    help: 'Payloads of those inputs in bytes; the queue is also full at 4 KiB for each row of its limit.',
  },
  muster_queue_oldest_seconds: {
    type: 'gauge',
    labels: [],
    help: 'Age of the oldest waiting input.',
  },
  muster_queue_rotations_total: {
    ...{ type: 'counter', labels: ['outcome'] },
    help: 'Drained slots of the queue: `emptied`; put off because somebody had a lock on one (`locked`), such as a dump; or `failed`.',
  },
} as const satisfies MetricSpecs;
