/** Holds every host of a channel, or of the fleet, that an operator paused. */
import { OPEN, type Brake, type Braked } from './gate.ts';

export const paused: Brake = {
  name: 'paused',
  keys: (held) => {
    const keys: string[] = [];
    if (held.state.fleet.pause !== null) keys.push('paused:fleet');
    if (channelPause(held) !== null) keys.push('paused:channel');
    return keys.length === 0 ? OPEN : keys;
  },
  explain: (held, subject) => {
    const pause = pauseOf(held, subject);
    const what = subject === 'fleet' ? 'the fleet' : `channel ${held.record.channel}`;
    return {
      because:
        pause === null
          ? `${what} is not paused`
          : `${pause.actor} paused ${what} at ${pause.at}: ${pause.reason}`,
      releasedBy: `an operator resumes ${what}`,
      hosts: [],
    };
  },
  since: (held, subject) => pauseOf(held, subject)?.at ?? null,
};

function pauseOf(held: Braked, subject: string) {
  return subject === 'fleet' ? held.state.fleet.pause : channelPause(held);
}

function channelPause(held: Braked) {
  return held.state.channels.get(held.record.channel)?.pause ?? null;
}
