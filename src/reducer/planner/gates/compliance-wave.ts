/** Holds later waves while hosts of earlier ones run the release with enforced probes or controls failing. */
import { OPEN, type Gate, type Held } from './gate.ts';

export const complianceWave: Gate = {
  name: 'compliance-wave',
  isPersonal: () => true,
  keys: (held) => (outstanding(held) > 0 ? ['compliance-wave'] : OPEN),
  explain: (held) => {
    const hosts = [...held.rollout.failures.keys()].filter((name) => counts(held, name));
    return {
      because: `${String(outstanding(held))} enforced failures outstanding in waves before ${String(held.record.wave)}`,
      releasedBy: releasedBy(held, hosts),
      hosts,
    };
  },
};

/** One that converged reports no more: there only an operator can say that its failures are no reason to wait. */
function releasedBy({ rollout }: Held, hosts: readonly string[]): string {
  const passes = 'these probes or controls pass';
  const over = hosts.filter((name) => rollout.records.get(name)?.state === 'Converged').length;
  if (over === 0) return passes;
  const writeOff =
    'an operator writes off the hosts that converged over them, or a new commit opens the next rollout';
  return over === hosts.length ? writeOff : `${passes}, and ${writeOff}`;
}

/** Whose failures count: an open record of an earlier wave that runs the release. */
function counts({ rollout, record }: Held, hostname: string): boolean {
  const other = rollout.records.get(hostname);
  if (other === undefined || other.closed !== null || other.wave >= record.wave) return false;
  return other.state === 'Soaking' || other.state === 'Converged';
}

function outstanding({ rollout, record }: Held): number {
  let sum = 0;
  for (let wave = 0; wave < record.wave; wave += 1) sum += rollout.waves[wave]?.outstanding ?? 0;
  return sum;
}
