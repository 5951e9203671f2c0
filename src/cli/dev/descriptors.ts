/**
 * Whether this machine lets a fleet of this size connect. Each host parks a poll: one socket in the fleet's
 * process, two in ours (the balancer's), and one in a replica, all of them in a single one while the other
 * is down. Node has already raised its soft limit to the hard one.
 */
import { readFileSync } from 'node:fs';
import { UsageError } from '../io.ts';

/** Files, pipes, listeners, short requests and health checks beside the polls. */
const BESIDE = 300;

/** Throws when the limit is known and too low. */
export function checkDescriptors(hosts: number, limit: number | null = openFilesLimit()): void {
  const needed = 2 * hosts + BESIDE;
  if (limit === null || limit >= needed) return;
  throw new UsageError(
    `${hosts} hosts need ${needed} open files, and this process may have ${limit}: ` +
      `raise the hard limit (ulimit -Hn), or give fewer --hosts`,
  );
}

function openFilesLimit(): number | null {
  if (process.platform !== 'linux') return null;
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  return soft === undefined ? null : Number(soft);
}
