/** Holds one host that an operator put on hold. */
import { OPEN, type Brake } from './gate.ts';

export const hostHold: Brake = {
  name: 'host-hold',
  isPersonal: () => true,
  keys: ({ host }) => (host?.row.hold ? ['host-hold'] : OPEN),
  explain: ({ host, record }) => {
    const hold = host?.row.hold ?? null;
    return {
      because:
        hold === null
          ? 'the host is not on hold'
          : `${hold.actor} held it at ${hold.at}: ${hold.reason}`,
      releasedBy: 'an operator releases the host',
      hosts: [record.hostname],
    };
  },
  since: ({ host }) => host?.row.hold?.at ?? null,
};
