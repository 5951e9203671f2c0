/** Holds hosts whose target closure failed somewhere on this channel. A new closure is another closure. */
import { quarantineKey } from '../../state/state.ts';
import { OPEN, type Gate, type Held } from './gate.ts';

export const quarantine: Gate = {
  name: 'quarantine',
  isPersonal: () => true,
  keys: (held) => (find(held) === undefined ? OPEN : ['quarantine']),
  explain: (held) => {
    const found = find(held);
    return {
      because:
        found === undefined
          ? 'its target is not quarantined'
          : `${found.closure} was rolled back on ${found.hostname} at ${found.at} in ${found.rolloutId}`,
      releasedBy: 'a commit brings another closure, or an operator clears the quarantine',
      hosts: found === undefined ? [] : [found.hostname],
    };
  },
  since: (held) => find(held)?.at ?? null,
};

function find({ state, record }: Held) {
  return state.quarantines.get(quarantineKey(record.channel, record.targetClosure));
}
