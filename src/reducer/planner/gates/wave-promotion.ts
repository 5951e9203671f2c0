/** Holds hosts of waves that the rollout's cursor has not reached. */
import { waveOf } from '../../state/state.ts';
import { EXPLAIN_HOSTS, OPEN, type Gate } from './gate.ts';

const UNFINISHED: readonly string[] = ['Pending', 'Activating', 'Soaking'];

export const wavePromotion: Gate = {
  name: 'wave-promotion',
  keys: ({ rollout, record }) =>
    record.wave > rollout.row.currentWave ? [`wave-promotion:${String(record.wave)}`] : OPEN,
  explain: ({ rollout, record }) => {
    const current = rollout.row.currentWave;
    const { counts, total } = waveOf(rollout, current);
    const waiting: string[] = [];
    for (const other of rollout.records.values()) {
      if (other.wave === current && other.closed === null && UNFINISHED.includes(other.state)) {
        waiting.push(other.hostname);
      }
    }
    // Trials soak for seconds: a third of a minute reads as 0.33.
    const soak = String(Math.round((rollout.row.plan.soakMinutes[current] ?? 0) * 100) / 100);
    return {
      because: `it is in wave ${String(record.wave)}; wave ${String(current)} has ${String(counts.converged)} of ${String(total)} hosts converged and a soak of ${soak} minutes`,
      releasedBy: `wave ${String(current)} is done`,
      hosts: waiting.sort().slice(0, EXPLAIN_HOSTS),
    };
  },
};
