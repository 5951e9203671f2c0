/** What the planner's gates look up in a recorded situation. */
import type { PlannerLine } from './shapes.ts';

export type Host = PlannerLine['hosts'][number];
export type Rollout = PlannerLine['rollouts'][number];
type Waves = PlannerLine['fleet']['waves'][string];

export function rolloutOf({ rollouts, id }: PlannerLine, { rolloutId }: Host): Rollout {
  const found = rollouts.find((rollout) => rollout.rolloutId === rolloutId);
  if (found === undefined) throw new Error(`planner ${id}: no rollout ${rolloutId}`);
  return found;
}

export function recordOf(line: PlannerLine, rolloutId: string, hostname: string): Host | undefined {
  return line.hosts.find((host) => host.rolloutId === rolloutId && host.hostname === hostname);
}

/** The channel that the fleet has the host in today. */
export function channelToday({ fleet }: PlannerLine, hostname: string): string | undefined {
  return fleet.hosts[hostname]?.channel;
}

export function wavesOf({ fleet }: PlannerLine, channel: string | undefined): Waves {
  return fleet.waves[channel ?? ''] ?? [];
}

/** The first of these waves that has the host; -1 for none. */
export function waveIn(waves: Waves, hostname: string): number {
  return waves.findIndex(({ hosts }) => hosts.includes(hostname));
}

export function isGranted({ state, dispatchAckedAt }: Host): boolean {
  return state === 'Pending' && dispatchAckedAt != null;
}

/** Switching in another rollout, or failed there and on its way back. */
export function isBusyElsewhere(line: PlannerLine, host: Host): boolean {
  return line.hosts.some(
    (other) =>
      other.hostname === host.hostname &&
      other.rolloutId !== host.rolloutId &&
      (other.state === 'Activating' || isRollingBack(line, other)),
  );
}

export function isRollingBack(line: PlannerLine, host: Host): boolean {
  const policies = line.fleet.rolloutPolicies;
  const policy = line.fleet.channels[rolloutOf(line, host).channel]?.rolloutPolicy ?? '';
  return host.state === 'Failed' && policies[policy]?.onHealthFailure === 'rollback-and-halt';
}
