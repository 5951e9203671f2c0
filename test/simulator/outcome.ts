/** Whether everything came right in the end, and what an operator would do about what did not. */
import type { OperatorCommand } from '../../src/reducer/input.ts';
import type { Database } from './database.ts';
import type { Machine } from './machine.ts';
import type { Release } from './release.ts';
import { keyOf } from './tables.ts';

/** What an agent takes no more of, or nobody is dispatched, until somebody says otherwise. */
const FOR_GOOD = [
  'dispatch-refused',
  'not-declared',
  'manifest-stale',
  'manifest-rejected',
  'quarantine',
  'compliance-wave',
];
/** Before the host that is waited for: one that failed, or went back, is waited for in vain. */
const HOST_EDGE = 'host-edge:';
const ENDED = ['Terminal', 'Superseded', 'Cancelled', 'Pruned'];

/** In words; empty when every host runs and converged on its target, every rollout ended, and nothing waits. */
export function whatIsWrong(
  db: Database,
  release: Release,
  machines: readonly Machine[],
): string[] {
  const { tables, queue } = db.data;
  const found: string[] = [];
  if (queue.size > 0) found.push(`${String(queue.size)} inputs wait in the queue`);
  for (const { name, waves } of release.channels) {
    if (waves.flat().length === 0) continue;
    const current = tables.channels.get(name)?.currentRolloutId ?? null;
    if (current !== `${name}@${release.ref}`)
      found.push(`${name} is at ${String(current)}, not ${release.ref}`);
  }
  for (const row of tables.rollouts.values()) {
    if (!ENDED.includes(row.state))
      found.push(`${row.rolloutId} is ${row.state} (${row.blockers.join(' ')})`);
  }
  for (const machine of machines) {
    const target = release.target(machine.hostname);
    if (machine.closure !== target)
      found.push(`${machine.hostname} runs ${machine.closure}, not ${target}`);
    const channel = release.channelOf(machine.hostname);
    const key = keyOf({
      rolloutId: `${channel}@${release.ref}`,
      hostname: machine.hostname,
    });
    const record = tables.records.get(key);
    if (record?.state === 'Converged') continue;
    const gates = tables.blockers.get(key)?.gates ?? [];
    found.push(
      `${key} is ${record?.state ?? 'absent'} ${record?.closed ?? ''} (${gates.join(' ')})`,
    );
  }
  return found;
}

/**
 * Hosts that are through here and yet report another closure, which no record of this database prescribes any more: a
 * switch of a release that it has forgotten, or closed, waited for their reboot, or was under way in an agent of v0.2, which
 * tells of none. What an operator does about it is push a commit.
 */
export function driftedByForgotten(
  { data: { tables } }: Database,
  release: Release,
  machines: readonly Machine[],
): string[] {
  const open = [...tables.records.values()].filter(({ closed }) => closed === null);
  const known = new Set(open.map(ran));
  return machines
    .filter(({ hostname, closure, bootedInto, isOld }) => {
      const isSeen = tables.hosts.get(hostname)?.reportedClosure === closure;
      const isForgotten = !known.has(ran({ hostname, targetClosure: closure }));
      const isOff = closure !== release.target(hostname);
      return isSeen && isForgotten && isOff && (isOld || bootedInto === closure);
    })
    .map(({ hostname }) => hostname);
}

function ran({ hostname, targetClosure }: { hostname: string; targetClosure: string }): string {
  return `${hostname} ${targetClosure}`;
}

/** Lets go of what operators held, and gives up what waits for them alone. */
export function setRight({ data: { tables } }: Database): OperatorCommand[] {
  const found: OperatorCommand[] = [];
  const isOlder = (rolloutId: string): boolean =>
    !rolloutId.endsWith(`@${String(tables.fleet.ref)}`);
  if (tables.fleet.pause !== null) found.push({ command: 'ResumeFleet' });
  for (const { channel, pause } of tables.channels.values()) {
    if (pause !== null) found.push({ command: 'ResumeChannel', channel });
  }
  for (const { hostname, hold } of tables.hosts.values()) {
    if (hold !== null) found.push({ command: 'ReleaseHost', hostname });
  }
  for (const { rolloutId, stuck, closed } of tables.records.values()) {
    if (stuck && closed === null && isOlder(rolloutId))
      found.push({ command: 'CancelRollout', rolloutId });
  }
  // A predecessor that is let finish first, and in which no host of a wave has come right yet.
  for (const { rolloutId, blockers } of tables.rollouts.values()) {
    if (blockers.includes('wave-unproven') && isOlder(rolloutId))
      found.push({ command: 'CancelRollout', rolloutId });
  }
  // One that failed, of a channel that all its hosts have left: nothing succeeds it.
  for (const { rolloutId, state, channel } of tables.rollouts.values()) {
    const isLeft = tables.channels.get(channel)?.declaredRef === null;
    if (isLeft && (state === 'Failed' || state === 'Reverted'))
      found.push({ command: 'CancelRollout', rolloutId });
  }
  // A closure that once failed, and that the last commit goes back to all the same.
  for (const { rolloutId, hostname, gates } of tables.blockers.values()) {
    const record = tables.records.get(keyOf({ rolloutId, hostname }));
    if (record === undefined || isOlder(rolloutId) || !gates.includes('quarantine')) continue;
    const { channel, targetClosure } = record;
    found.push({ command: 'ClearQuarantine', channel, closure: targetClosure });
  }
  // One that cannot finish; then what it had handed out, whose slot stays with a host that is heard and may be
  // running it.
  const isForGood = (rolloutId: string, gate: string): boolean => {
    if (!gate.startsWith(HOST_EDGE)) return FOR_GOOD.includes(gate);
    const gating = tables.records.get(keyOf({ rolloutId, hostname: gate.slice(HOST_EDGE.length) }));
    return gating?.state === 'Failed' || gating?.state === 'Reverted';
  };
  for (const { rolloutId, hostname, gates } of tables.blockers.values()) {
    if (!isOlder(rolloutId) || !gates.some((gate) => isForGood(rolloutId, gate))) continue;
    const hasEnded = ENDED.includes(tables.rollouts.get(rolloutId)?.state ?? '');
    found.push(
      hasEnded
        ? { command: 'WithdrawDispatch', hostname }
        : { command: 'CancelRollout', rolloutId },
    );
  }
  return found;
}
