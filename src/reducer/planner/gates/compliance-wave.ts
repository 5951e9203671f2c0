/**
 * Holds later waves while hosts of earlier ones run the release with enforced probes or controls failing.
 *
 * The planner asks it, and notes it, only where the cursor has come: `wave-promotion` holds everybody else all the same,
 * and a probe that fails now and then must not be news to a hundred thousand of them. Whoever asks why is told of it.
 */
import type { ProbeFailureRow } from '../../state/rows.ts';
import type { Time } from '../../time.ts';
import { OPEN, type Gate, type Held } from './gate.ts';

const HELD: readonly string[] = ['compliance-wave'];

export const complianceWave: Gate = {
  name: 'compliance-wave',
  isPersonal: () => true,
  keys: (held) => (isPromoted(held) && outstanding(held) > 0 ? HELD : OPEN),
  explain: (held) => {
    const hosts = [...held.rollout.failures.keys()].filter((name) => counts(held, name));
    return {
      because: `${String(outstanding(held))} enforced failures outstanding in waves before ${String(held.record.wave)}`,
      releasedBy: releasedBy(held, hosts),
      hosts,
    };
  },
  since: (held) => failingSince(held),
};

/** Of a host that the cursor has not reached: what the planner does not note of it. */
export function complianceBeyond(held: Held): readonly string[] {
  return !isPromoted(held) && outstanding(held) > 0 ? HELD : OPEN;
}

function isPromoted({ rollout, record }: Held): boolean {
  return record.wave <= rollout.row.currentWave;
}

/** Since the oldest of the failures that count began; one that is over may have held before. */
function failingSince(held: Held): Time | null {
  const { failures, row } = held.rollout;
  let oldest: Time | null = null;
  for (const [hostname, rows] of failures)
    if (counts(held, hostname)) oldest = oldestOf(rows.values(), oldest);
  return oldest === null || oldest > row.openedAt ? oldest : row.openedAt;
}

function oldestOf(rows: Iterable<ProbeFailureRow>, known: Time | null): Time | null {
  let oldest = known;
  for (const { since } of rows) if (oldest === null || since < oldest) oldest = since;
  return oldest;
}

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
