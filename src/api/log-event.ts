/** A row of the log in the shape of the wire: absent members are left out, never null. */
import type { TailRow } from '../eventlog/tail.ts';
import type { LogEvent } from '../wire/log-event.ts';

export function logEvent(row: TailRow): LogEvent {
  const { seq, ts, epoch, kind, hostname, rolloutId, channel, actor, causedBy } = row;
  const { payload, omitted = null } = row;
  return {
    seq,
    ts,
    epoch,
    kind,
    ...(hostname === null ? {} : { host: hostname }),
    ...(rolloutId === null ? {} : { rolloutId }),
    ...(channel === null ? {} : { channel }),
    ...(actor === null ? {} : { actor }),
    ...(causedBy === null ? {} : { causedBy }),
    payload,
    ...(omitted === null ? {} : { omitted }),
  };
}
