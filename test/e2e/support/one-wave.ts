/** A release in which every host moves at once, or `maxInFlight` at a time: one channel, one wave. For load. */
import type { SampleFleet } from '../../../src/cli/dev/sample-fleet.ts';

export function oneWave(
  hosts: readonly string[],
  ref: string,
  soakSeconds: number,
  maxInFlight: number | null = null,
): SampleFleet {
  const soakMinutes = soakSeconds / 60;
  const closureOf = (host: string): string => `${ref.slice(0, 8)}-system-${host}`;
  const meta = { schemaVersion: 1, ciCommit: ref };
  const entry = (host: string) => ({ channel: 'stable', tags: [], closureHash: closureOf(host) });
  const selector = { tags: [], tagsAny: [], hosts: [], channel: 'stable', all: false };
  const budget = { selector, maxInFlight };
  return {
    fleet: {
      schemaVersion: 1,
      hosts: Object.fromEntries(hosts.map((host) => [host, entry(host)])),
      channels: { stable: { rolloutPolicy: 'p', freshnessWindow: 1440 } },
      rolloutPolicies: { p: { waves: [], healthGate: {}, onHealthFailure: 'halt' } },
      waves: { stable: [{ hosts: [...hosts], soakMinutes }] },
      edges: [],
      channelEdges: [],
      disruptionBudgets: maxInFlight === null ? [] : [budget],
      meta,
    },
    manifests: new Map([
      [
        `stable@${ref}`,
        {
          schemaVersion: 1,
          displayName: 'one wave',
          channel: 'stable',
          channelRef: ref,
          fleetResolvedHash: '',
          hostSet: [...hosts]
            .sort()
            .map((hostname) => ({ hostname, waveIndex: 0, targetClosure: closureOf(hostname) })),
          healthGate: {},
          disruptionBudgets: maxInFlight === null ? [] : [{ ...budget, hosts: [...hosts].sort() }],
          meta,
        },
      ],
    ]),
  };
}
