/**
 * What becomes of a heartbeat, whatever it came through: a report for the queue or a mere sign of life, and
 * what the host is told in return. The rows behind it are read and kept by functions that the caller gives.
 */
import type { PresenceRow } from '../db/presence.ts';
import {
  bootstrap,
  mayChange,
  replayFrom,
  snapshotSeq,
  type HeardRecord,
} from '../reducer/read/heartbeat.ts';
import type { Heartbeat, Snapshot } from '../wire/agent.ts';
import type { Submit } from './deps.ts';
import type { Heard, Question } from './heard.ts';
import type { Memory, Watch } from './memory.ts';
import { notAccepted, Refusal } from './refusal.ts';

/** A host heartbeats every minute: two within this mean that its agent began anew. */
const RESTART_MS = 10_000;

export interface Room {
  readonly memory: Memory;
  readonly hear: (question: Question) => Promise<Heard>;
  /** Rejects when presence is not stored, or not soon. */
  readonly keep: (row: PresenceRow) => Promise<unknown>;
  readonly submit: Submit;
  readonly verdictWaitMs: number;
  /** Told whether a heartbeat became an input. */
  readonly onHeard: (path: 'input' | 'read') => void;
}

function questionOf(heartbeat: Heartbeat): Question {
  const named = heartbeat.rolloutId === null ? [] : [heartbeat.rolloutId];
  return {
    hostname: heartbeat.hostname,
    stated: [...Object.keys(heartbeat.lastEventSeqByRollout), ...named],
  };
}

function presenceOf(heartbeat: Heartbeat, said: readonly string[] | null): PresenceRow {
  return {
    hostname: heartbeat.hostname,
    closure: heartbeat.currentClosure,
    agentVersion: heartbeat.agentVersion,
    uptimeSecs: heartbeat.uptimeSecs,
    lastEventSeqByRollout: JSON.stringify(heartbeat.lastEventSeqByRollout),
    replaySaid: said === null ? null : said.join(' '),
  };
}

/** Queues the report and reads again what became of it; an input still queued shows in `queued`. */
async function report(room: Room, heartbeat: Heartbeat): Promise<Heard> {
  const { hostname, at, currentClosure, rolloutId, agentVersion, lastEventSeqByRollout } =
    heartbeat;
  const submitted = await room.submit(
    {
      kind: 'HostReport',
      ...{ hostname, at, currentClosure, rolloutId, agentVersion, lastEventSeqByRollout },
    },
    { waitMs: room.verdictWaitMs },
  );
  if (submitted.status === 'unavailable') {
    throw notAccepted(submitted.why, submitted.retryAfterSecs);
  }
  if (submitted.status === 'invalid') {
    throw new Refusal(
      'malformed',
      'the heartbeat holds a value that cannot be stored; send plain text',
    );
  }
  return room.hear(questionOf(heartbeat));
}

function optional<K extends string>(key: K, value: string | null): { [P in K]?: string } {
  const found: { [P in K]?: string } = {};
  if (value !== null) found[key] = value;
  return found;
}

/** The record as the agent is to take it up. */
export function snapshotOf(record: HeardRecord, receivedAt: string): Snapshot {
  const { rolloutId, hostname, channel, state, targetClosure } = record;
  return {
    ...{ rolloutId, hostname, channel, state, targetClosure },
    ...optional('currentClosureAtDispatch', record.currentClosureAtDispatch),
    ...optional('currentClosure', record.currentClosure),
    // A state that was synthesised without a dispatch still needs one here: agents require it.
    dispatchedAt: record.dispatchedAt ?? record.synthesisedAt ?? receivedAt,
    ...optional('dispatchAckedAt', record.dispatchAckedAt),
    ...optional('activationStartedAt', record.activationStartedAt),
    ...optional('activationCompletedAt', record.activationCompletedAt),
    ...optional('soakDueAt', record.soakDueAt),
    lastEventSeq: snapshotSeq(record),
  };
}

export interface Reaction {
  readonly replay: number | null;
  /** Null: nothing was said this time. */
  readonly said: readonly string[] | null;
  readonly records: readonly HeardRecord[];
}

/** `before` is what was known when the heartbeat came, `now` what is known after its report. */
interface Known {
  readonly before: Heard;
  readonly now: Heard;
  readonly watch: Watch;
}

function react({ memory }: Room, heartbeat: Heartbeat, { before, now, watch }: Known): Reaction {
  const queued = now.queued || watch.touched;
  if (queued) return { replay: null, said: null, records: [] };
  const replay = replayFrom(now, heartbeat, now.said);
  const recently = before.heardMsAgo !== null && before.heardMsAgo < RESTART_MS;
  const records = bootstrap(now, heartbeat, {
    queued,
    missedLately: now.missedLately,
    shedLately: memory.shedLately(),
    restarted: recently || before.reachability === 'unreachable',
  });
  const changed = replay.said.join(' ') !== now.said.join(' ');
  return { replay: replay.from, said: changed ? replay.said : null, records };
}

/**
 * Where presence is not known to be stored, replicas do not know of each other's failed posts, and a snapshot might walk
 * an agent back. A replay only makes it repeat itself: said twice it costs duplicates, while a row that is stored late
 * after all says that it was said, and then nobody would ask again.
 */
function withoutSnapshots({ replay, said }: Reaction): Reaction {
  return { replay, said, records: [] };
}

function isKept({ keep }: Room, row: PresenceRow): Promise<boolean> {
  return keep(row).then(
    () => true,
    () => false,
  );
}

/** What the host is told. Rejects with a Refusal when its report was not accepted. */
export async function hearHost(room: Room, heartbeat: Heartbeat): Promise<Reaction> {
  const watch = room.memory.watch(heartbeat.hostname);
  try {
    const reaction = await hearWatched(room, heartbeat, watch);
    // What came while presence was noted is in none of the rows that were read.
    return watch.touched ? withoutSnapshots(reaction) : reaction;
  } finally {
    watch.end();
  }
}

async function hearWatched(room: Room, heartbeat: Heartbeat, watch: Watch): Promise<Reaction> {
  const before = await room.hear(questionOf(heartbeat));
  const reports = mayChange(before, heartbeat);
  room.onHeard(reports ? 'input' : 'read');
  if (!reports) {
    const reaction = react(room, heartbeat, { before, now: before, watch });
    return (await isKept(room, presenceOf(heartbeat, reaction.said)))
      ? reaction
      : withoutSnapshots(reaction);
  }
  // The host was heard, whatever becomes of its report.
  const [isHeard, now] = await Promise.all([
    isKept(room, presenceOf(heartbeat, null)),
    report(room, heartbeat),
  ]);
  const reaction = react(room, heartbeat, { before, now, watch });
  const isSaid =
    reaction.said === null || (await isKept(room, presenceOf(heartbeat, reaction.said)));
  return isHeard && isSaid ? reaction : withoutSnapshots(reaction);
}
