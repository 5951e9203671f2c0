/** Holds a host that was never heard, or not for three heartbeats: no slot for a host that is not there. */
import { OPEN, type Gate } from './gate.ts';

export const hostUnreachable: Gate = {
  name: 'host-unreachable',
  isPersonal: () => true,
  keys: ({ host }) => (host?.row.reachability === 'reachable' ? OPEN : ['host-unreachable']),
  explain: ({ host, record }) => ({
    because:
      host?.row.reachabilityAt == null
        ? 'its agent was never heard'
        : `its agent fell silent: unreachable from ${host.row.reachabilityAt} on`,
    releasedBy: 'its agent is heard',
    hosts: [record.hostname],
  }),
};
