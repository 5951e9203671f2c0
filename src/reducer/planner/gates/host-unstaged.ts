/** Holds, for good, a host that its channel's waves leave out: a declaration to mend, not a guess to make. */
import { OPEN, type Gate } from './gate.ts';

export const hostUnstaged: Gate = {
  name: 'wave-promotion-host-unstaged',
  keys: ({ rollout, record }) =>
    rollout.unstaged.has(record.hostname) ? ['wave-promotion-host-unstaged'] : OPEN,
  explain: ({ record }) => ({
    because: `channel ${record.channel} declares waves and ${record.hostname} is in none of them`,
    releasedBy: "a commit that puts the host into a wave (its tags, or the wave's selector)",
    hosts: [record.hostname],
  }),
};
