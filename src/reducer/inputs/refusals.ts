/**
 * What is kept of a refused event. It consumes no seq, so it is judged afresh whenever it comes again; but
 * the same refusal is one row, and the highest refused seq is remembered, so that nobody asks for it again.
 */
import type { RefusalCode, Verdict } from '../log.ts';
import type { Pass } from '../pass.ts';
import type { Change, RecordSet } from '../state/change.ts';
import type { RecordRow } from '../state/rows.ts';

interface Refused {
  readonly seq: number;
  readonly kind: string;
  readonly code: string;
}

/**
 * Refusals remembered per record, the last ones: far more than a host has that is not broken, and two kilobytes of its
 * row. Who has more of them writes a row for each anyway.
 */
const REMEMBERED = 64;

/** The verdict on an input that is about no host's record. */
export function refused(code: RefusalCode, detail: string): Verdict {
  return { status: 'refused', code, detail, state: null, lastEventSeq: null };
}

/** Refuses such an input: its own row says so, and changes nothing but what counts refusals. */
export function refuseWhole(
  pass: Pass,
  code: RefusalCode,
  detail: string,
  counted: readonly Change[] = [],
): Verdict {
  pass.write(counted, { verdict: 'refused', code, detail });
  return refused(code, detail);
}

/** False for a refusal that was logged before: an agent that repeats itself must not fill the log. */
export function isNews(record: RecordRow, refused: Refused): boolean {
  return !known(record).includes(keyOf(refused));
}

export function noteRefusal(record: RecordRow, refused: Refused): Change {
  const { rolloutId, hostname } = record;
  const lastRefusal = [...known(record), keyOf(refused)].slice(-REMEMBERED).join(' ');
  const highestRefusedSeq = Math.max(record.highestRefusedSeq, refused.seq);
  return { t: 'record', rolloutId, hostname, set: { lastRefusal, highestRefusedSeq } };
}

/**
 * The host no longer reports what its Converged was refused for. Whoever was told "refused" does not say it again by
 * himself: it counts as never judged, so that the host's next heartbeat asks for it, once. Refused again, it is news.
 */
export function withdrawnRefusal(record: RecordRow): RecordSet {
  const { highestRefusedSeq: seq, lastEventSeq } = record;
  const refusal = { seq, kind: 'Converged', code: 'invariant-violated' };
  if (seq <= lastEventSeq || isNews(record, refusal)) return {};
  const others = known(record).filter((key) => key !== keyOf(refusal));
  return {
    highestRefusedSeq: lastEventSeq,
    lastRefusal: others.length === 0 ? null : others.join(' '),
  };
}

function known(record: RecordRow): string[] {
  return record.lastRefusal === null ? [] : record.lastRefusal.split(' ');
}

function keyOf({ seq, kind, code }: Refused): string {
  return `${String(seq)}:${kind}:${code}`;
}
