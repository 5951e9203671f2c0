/**
 * Connections that are ended without the application's answer. Whoever is cut off sees no reason, and whoever looks for one
 * finds it here: each is counted, and a process with no room for more says so in its log.
 */
import type { ApiDeps } from '../deps.ts';

const CUTS = [
  ...(['full', 'pipelining', 'slow-reader', 'no-proxy'] as const),
  ...(['tls', 'malformed', 'too-slow', 'headers-too-large'] as const),
] as const;

export type Cut = (typeof CUTS)[number];
export type CutOff = (why: Cut) => void;

/** A thousand agents come again every few seconds. */
const TOLD_EVERY_MS = 60_000;

export function createCuts({
  clock,
  limits: { maxConnections },
  log,
  metrics,
}: Pick<ApiDeps, 'clock' | 'limits' | 'log' | 'metrics'>): CutOff {
  for (const why of CUTS) metrics.count('muster_api_connections_cut_total', { why }, 0);
  let toldAt = Number.NEGATIVE_INFINITY;
  return (why) => {
    metrics.count('muster_api_connections_cut_total', { why });
    if (why !== 'full' || clock.monotonic() - toldAt < TOLD_EVERY_MS) return;
    toldAt = clock.monotonic();
    log.warn(
      { maxConnections },
      'as many connections are open as MUSTER_MAX_CONNECTIONS allows: others are closed at once; add replicas, or raise it',
    );
  };
}
