/** Holds hosts of waves that the rollout's cursor has not reached. */
import { soakEnd, standingOf } from '../settle.ts';
import { waveOf } from '../../state/state.ts';
import { timeOf, type Millis } from '../../time.ts';
import { OPEN, type Gate, type Held } from './gate.ts';

const UNFINISHED: readonly string[] = ['Pending', 'Activating', 'Soaking'];

export const wavePromotion: Gate = {
  name: 'wave-promotion',
  keys: ({ rollout, record }) =>
    record.wave > rollout.row.currentWave ? [`wave-promotion:${String(record.wave)}`] : OPEN,
  explain: ({ state, rollout, record, now }) => {
    const current = rollout.row.currentWave;
    const wave = waveOf(rollout, current);
    const { counts, total } = wave;
    // Settled, absent hosts included, it only soaks: then whoever completed last is why.
    const isWaiting = standingOf(state, rollout, wave, now).kind !== 'settled';
    const behind = isWaiting ? missing({ rollout }, current) : lastThrough({ rollout }, current);
    return {
      because: `it is in wave ${String(record.wave)}; wave ${String(current)} has ${String(counts.converged)} of ${String(total)} hosts converged${soakOf(rollout, isWaiting, now)}`,
      releasedBy:
        record.wave === current + 1
          ? `wave ${String(current)} is done`
          : `waves ${String(current)} to ${String(record.wave - 1)} are done, one after the other`,
      hosts: behind.map(({ hostname }) => hostname),
    };
  },
};

function soakOf(rollout: Held['rollout'], isWaiting: boolean, now: Millis): string {
  const ends = soakEnd(rollout, rollout.row.currentWave);
  if (!isWaiting && ends !== null && ends > now) return `, and soaks until ${timeOf(ends)}`;
  const minutes = rollout.row.plan.soakMinutes[rollout.row.currentWave] ?? 0;
  // Trials soak for seconds: a third of a minute reads as 0.33.
  return minutes === 0
    ? ''
    : ` and soaks ${String(Math.round(minutes * 100) / 100)} minutes after the last`;
}

type InRollout = Pick<Held, 'rollout'>;

/** Who is on the way; in a wave in which nobody is any more and nobody came through, who did not. */
function missing(held: InRollout, wave: number) {
  const all = inWave(held, wave);
  const unfinished = all.filter((one) => UNFINISHED.includes(one.state));
  return unfinished.length > 0 ? unfinished : all.filter((one) => one.state !== 'Converged');
}

function inWave({ rollout }: InRollout, wave: number) {
  return [...rollout.records.values()].filter((one) => one.wave === wave && one.closed === null);
}

function lastThrough({ rollout }: InRollout, wave: number) {
  const last = rollout.waves[wave]?.lastCompletion ?? null;
  return inWave({ rollout }, wave).filter(
    (one) => last !== null && one.completedAppliedAt === last,
  );
}
