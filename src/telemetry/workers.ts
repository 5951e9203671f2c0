/** What the workers count, and what they verified. */
import type { MetricSpecs } from './spec.ts';

export const WORKER_METRICS = {
  muster_worker_runs_total: {
    type: 'counter',
    labels: ['worker', 'outcome'],
    help: 'Runs of each worker (manifests, liveness, tick, retention, log, measure) that went ok or failed.',
  },
  muster_verifications_total: {
    type: 'counter',
    labels: ['outcome'],
    help: 'Signed artifacts verified, by outcome: ok, or the reason of the refusal.',
  },
  muster_manifest_poll_time_seconds: {
    type: 'gauge',
    labels: [],
    help: 'When the source was last polled to the end, Unix time in seconds.',
  },
} as const satisfies MetricSpecs;
