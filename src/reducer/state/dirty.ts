/**
 * What the next planning pass must look at again. Marked at the one place where rows are replaced, so that
 * no decision has to remember whom it concerns; a pass over everything marked is equal to a full pass.
 */
export interface Dirty {
  /** Everything: a new set of manifests, a takeover. */
  all: boolean;
  /** Channels that may have a rollout to open. */
  readonly channels: Set<string>;
  /** Rollouts whose waves, thresholds and end must be checked. */
  readonly progress: Set<string>;
  /** Rollouts all of whose Pending hosts must be judged again. */
  readonly rollouts: Set<string>;
  /** Single hosts to judge again, by rollout. */
  readonly hosts: Map<string, Set<string>>;
  /** Budgets in which a slot may have become free. */
  readonly budgets: Set<string>;
  /** Budgets that were exceeded and no longer are: hosts in flight under them may be granted again. */
  readonly eased: Set<string>;
}

export function cleanDirty(): Dirty {
  return {
    all: false,
    channels: new Set(),
    progress: new Set(),
    rollouts: new Set(),
    hosts: new Map(),
    budgets: new Set(),
    eased: new Set(),
  };
}

export function copyDirty(dirty: Dirty): Dirty {
  return {
    all: dirty.all,
    channels: new Set(dirty.channels),
    progress: new Set(dirty.progress),
    rollouts: new Set(dirty.rollouts),
    hosts: new Map([...dirty.hosts].map(([id, names]) => [id, new Set(names)])),
    budgets: new Set(dirty.budgets),
    eased: new Set(dirty.eased),
  };
}

export function markHost(dirty: Dirty, rolloutId: string, hostname: string): void {
  const hosts = dirty.hosts.get(rolloutId);
  if (hosts === undefined) dirty.hosts.set(rolloutId, new Set([hostname]));
  else hosts.add(hostname);
}

export function isClean(dirty: Dirty): boolean {
  return (
    !dirty.all &&
    dirty.channels.size === 0 &&
    dirty.progress.size === 0 &&
    dirty.rollouts.size === 0 &&
    dirty.hosts.size === 0 &&
    dirty.budgets.size === 0 &&
    dirty.eased.size === 0
  );
}
