/** Holds later waves while hosts of earlier ones run the release with enforced probes or controls failing. */
import { EXPLAIN_HOSTS, OPEN, type Gate, type Held } from './gate.ts';

export const complianceWave: Gate = {
  name: 'compliance-wave',
  keys: (held) => (outstanding(held) > 0 ? ['compliance-wave'] : OPEN),
  explain: (held) => {
    const hosts: string[] = [];
    for (const hostname of held.rollout.failures.keys()) {
      const record = held.rollout.records.get(hostname);
      if (record !== undefined && record.wave < held.record.wave && hosts.length < EXPLAIN_HOSTS) {
        hosts.push(hostname);
      }
    }
    return {
      because: `${String(outstanding(held))} enforced failures outstanding in waves before ${String(held.record.wave)}`,
      releasedBy: 'these probes or controls pass',
      hosts,
    };
  },
};

function outstanding({ rollout, record }: Held): number {
  let sum = 0;
  for (let wave = 0; wave < record.wave; wave += 1) sum += rollout.waves[wave]?.outstanding ?? 0;
  return sum;
}
