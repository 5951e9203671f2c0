/** Holds, for good, a host that its channel's waves leave out: a declaration to mend, not a guess to make. */
import { OPEN, type Gate } from './gate.ts';

export const hostUnstaged: Gate = {
  name: 'wave-promotion-host-unstaged',
  isPersonal: () => true,
  keys: ({ rollout, record }) =>
    rollout.unstaged.has(record.hostname) ? ['wave-promotion-host-unstaged'] : OPEN,
  explain: ({ state, record: { channel, hostname } }) => {
    const isDeclared = state.content?.hosts.has(hostname) ?? true;
    return {
      because: isDeclared
        ? `channel ${channel} declares waves and ${hostname} is in none of them`
        : `the manifest names ${hostname}, and the fleet declares no such host`,
      releasedBy: isDeclared
        ? "a commit puts the host into a wave (its tags, or the wave's selector)"
        : 'a commit declares the host',
      hosts: [hostname],
    };
  },
};
