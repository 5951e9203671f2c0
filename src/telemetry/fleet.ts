/** The fleet as the one process that works counts it. */
import type { MetricSpecs } from './spec.ts';

export const FLEET_METRICS = {
  muster_rollouts: {
    type: 'gauge',
    labels: ['state'],
    help: 'Rollouts by state; pruned ones are not counted.',
    measured: true,
  },
  muster_rollout_idle_seconds: {
    type: 'gauge',
    labels: [],
    help: 'Longest time since anything moved in a rollout that is under way, not paused, and has nobody switching or soaking who is heard, beyond the soak of its wave. Who does not get out of the soak (`soak-overdue`) does not move; what waits for another channel by an edge alone is measured there.',
    measured: true,
  },
  muster_hosts: {
    type: 'gauge',
    labels: ['state'],
    help: 'Declared hosts by their state in the newest rollout of their channel; `closed` were written off or moved on.',
    measured: true,
  },
  muster_hosts_heard: {
    type: 'gauge',
    labels: ['reachability'],
    help: 'Declared hosts by whether they are heard: never, reachable, unreachable.',
    measured: true,
  },
  muster_hosts_blocked: {
    type: 'gauge',
    labels: ['gate'],
    help: 'Hosts that each gate or remark holds in the newest rollout of a channel; one host may be held by several. Of a rollout under way all its hosts, of others those that the channel declares still.',
    measured: true,
  },
  muster_late_soaks: {
    type: 'gauge',
    labels: [],
    help: 'Hosts that `soak-overdue` has held for ten minutes in the newest rollout of a channel: their soak is over, and they do not get out of it.',
    measured: true,
  },
  muster_rollouts_blocked: {
    type: 'gauge',
    labels: ['reason'],
    help: 'Rollouts that do not get on as a whole, by reason, such as fleet-silent; the newest of each channel.',
    measured: true,
  },
  muster_pauses: {
    type: 'gauge',
    labels: ['scope'],
    help: 'Pauses in force: of the fleet, of channels.',
    measured: true,
  },
  muster_manifest_fresh_seconds: {
    ...{ type: 'gauge', labels: [] },
    help: 'Seconds until the first manifest is too old to grant a dispatch by; negative: it is already.',
    measured: true,
  },
} as const satisfies MetricSpecs;
