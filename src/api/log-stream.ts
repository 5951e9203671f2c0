/**
 * Streams of the event log. All streams of a replica share one reader: a commit is announced once, one query
 * reads what is new, and each stream is given what it asked for, so that idle streams cost memory only.
 *
 * A stream is `behind` (it reads for itself, from where its client left off), then `live`. A client that
 * takes its rows too slowly is behind again: rows wait in the database, not here. A lost announcement or a
 * failed read is made good by a look every few seconds; it also keeps proxies from closing quiet streams.
 *
 * A changed incarnation is said (`event: incarnation`), and the stream goes on from where it was, or from
 * the head of what was restored when that is lower; a reader that keeps a copy compares or reads it anew.
 */
import {
  matches,
  type Tail,
  type TailFilter,
  type TailQuery,
  type TailRow,
} from '../eventlog/tail.ts';
import { inBrief, isSurelySmall } from '../eventlog/large-rows.ts';
import { databaseProblem } from '../db/errors.ts';
import type { Clock, Logger, Metrics } from '../telemetry.ts';
import { formatCursor, type LogCursor } from '../wire/log-event.ts';
import { logEvent } from './log-event.ts';
import { Refusal } from './refusal.ts';
import type { WakeSource } from './deps.ts';

export interface LogStreamsOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly random: () => number;
  readonly wake: WakeSource;
  readonly maxStreams: number;
  /** Null before the first leader. */
  readonly read: (query: TailQuery) => Promise<Tail | null>;
}

/** Where the text of a stream goes. */
export interface Sink {
  /** False: take no more until `resume`. */
  send(text: string): boolean;
  end(): void;
}

/** Proxies close what is silent for a minute; a lost announcement costs a reader this much, once. */
const LOOK_EVERY_MS = 15_000;
/** Whoever may read no more stops reading about as soon as they are refused elsewhere. */
const ADMIT_EVERY_MS = 1_000;
/** Of one read: some 300 kB, a few milliseconds. Whole: which hosts a row is about is read off it. */
const PAGE = { limit: 500, whole: true };
/** Reads of streams that are behind, at once: the API has few connections, and agents come first. */
const LANES = 2;
/** A client is asked to come back after this, so that whether it may still read is judged anew. */
const LONGEST_MS = 60 * 60_000;
/** Clients come back this long after a stream ended, by themselves. */
const RETRY_MS = 2_000;
const FULL_RETRY_SECS = 30;

export interface StreamStart {
  readonly sink: Sink;
  readonly filter: TailFilter;
  /** It wants large rows with all they hold. */
  readonly whole: boolean;
  readonly at: LogCursor;
  /** Whether its reader would be admitted now; asked again and again. */
  readonly isAdmitted: () => Promise<boolean>;
}

export class LogStream {
  readonly filter: TailFilter;
  readonly whole: boolean;
  readonly sink: Sink;
  readonly isAdmitted: StreamStart['isAdmitted'];
  /** Everything up to here was sent, or did not match. */
  at: LogCursor;
  ended = false;
  full = false;
  reading = false;
  asking = false;
  cancel: () => void = () => undefined;

  constructor({ sink, filter, whole, at, isAdmitted }: StreamStart) {
    this.sink = sink;
    this.isAdmitted = isAdmitted;
    this.filter = filter;
    this.whole = whole;
    this.at = at;
  }

  say(event: string, data: object): void {
    this.send(`id: ${formatCursor(this.at)}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  send(text: string): void {
    if (!this.sink.send(text)) this.full = true;
  }
}

export class LogStreams {
  private readonly options: LogStreamsOptions;
  private readonly all = new Set<LogStream>();
  private readonly live = new Set<LogStream>();
  private readonly lane = lanes(LANES);
  /** Live streams have everything up to here. */
  private at: LogCursor = { incarnation: '', seq: 0 };
  private wakes = 0;
  private reading = false;
  private draining = false;
  private cancelLook: () => void = () => undefined;
  private cancelAsk: () => void = () => undefined;
  private readonly unsubscribe: () => void;

  constructor(options: LogStreamsOptions) {
    this.options = options;
    this.unsubscribe = options.wake.subscribe(() => {
      this.wakes += 1;
      this.follow();
    });
    this.lookLater();
    this.askLater();
  }

  get open(): number {
    return this.all.size;
  }

  /** Where a stream without a cursor begins: at the head. */
  async begin(from: LogCursor | null): Promise<LogCursor> {
    if (this.draining || this.all.size >= this.options.maxStreams) {
      throw new Refusal('not-accepted', 'too many streams are open here; come back later', {
        retryAfterSecs: FULL_RETRY_SECS,
        why: this.draining ? 'draining' : 'streams-full',
      });
    }
    const tail = await this.options.read({ after: null, limit: 0, whole: false });
    if (tail === null) throw new Refusal('not-ready', 'no leader has begun the log yet');
    return from ?? { incarnation: tail.incarnation, seq: tail.head };
  }

  /** Streams everything that matches after `at`, until `close`, `stop`, or its longest life. */
  start(start: StreamStart): LogStream {
    const stream = new LogStream(start);
    this.all.add(stream);
    this.gauge();
    const { clock, random } = this.options;
    // Spread, so that streams that began together do not all come back together.
    stream.cancel = clock.after(LONGEST_MS * (1 + random() / 4), () => {
      this.close(stream);
    });
    stream.send(`retry: ${RETRY_MS}\nid: ${formatCursor(start.at)}\n\n`);
    this.catchUp(stream);
    return stream;
  }

  /** Its client can take more. */
  resume(stream: LogStream): void {
    if (!stream.full) return;
    stream.full = false;
    this.catchUp(stream);
  }

  close(stream: LogStream): void {
    if (stream.ended) return;
    stream.ended = true;
    stream.cancel();
    this.all.delete(stream);
    this.live.delete(stream);
    this.gauge();
    stream.sink.end();
  }

  stop(): void {
    this.draining = true;
    this.unsubscribe();
    this.cancelLook();
    this.cancelAsk();
    for (const stream of [...this.all]) this.close(stream);
  }

  private askLater(): void {
    this.cancelAsk = this.options.clock.after(ADMIT_EVERY_MS, () => {
      for (const stream of this.all) this.ask(stream);
      this.askLater();
    });
  }

  private ask(stream: LogStream): void {
    if (stream.asking) return;
    stream.asking = true;
    stream
      .isAdmitted()
      .then((admitted) => {
        if (!admitted) this.close(stream);
      })
      .catch((error: unknown) => {
        this.options.log.error({ err: error }, 'a reader cannot be asked who they are');
        this.close(stream);
      })
      .finally(() => {
        stream.asking = false;
      });
  }

  private lookLater(): void {
    this.cancelLook = this.options.clock.after(LOOK_EVERY_MS, () => {
      for (const stream of this.all) {
        // Only an id: a client that comes back after a long quiet starts from here.
        if (this.live.has(stream)) stream.send(`id: ${formatCursor(stream.at)}\n\n`);
        else this.catchUp(stream);
      }
      this.wakes += 1;
      this.follow();
      this.lookLater();
    });
  }

  /** Reads what is new for all live streams; whoever wakes it meanwhile makes it read once more. */
  private follow(): void {
    if (this.reading || this.live.size === 0) return;
    this.reading = true;
    this.followOn()
      .catch((error: unknown) => {
        this.unread(error);
      })
      .finally(() => {
        this.reading = false;
      });
  }

  private async followOn(): Promise<void> {
    let seen = -1;
    let more = false;
    while (this.live.size > 0 && (more || seen !== this.wakes)) {
      seen = this.wakes;
      const tail = await this.options.read({ after: this.at.seq, ...PAGE });
      if (tail === null) return;
      // Judged by what was read here before: a stream may have read a later head for itself.
      const other = isOther(this.at, tail);
      more = other || tail.more;
      const next = other ? continued(this.at, tail) : reached(tail);
      this.handOut(tail, other, next);
      this.at = next;
    }
  }

  private handOut(tail: Tail, other: boolean, next: LogCursor): void {
    const texts = new Map<string, string>();
    for (const stream of [...this.live]) {
      if (other) tellOther(stream, tail);
      else {
        tellMissing(stream, tail);
        hand(stream, tail.rows, next, texts);
      }
      if (stream.full) this.live.delete(stream);
    }
  }

  /** Reads for one stream until it is where the live ones are. */
  private catchUp(stream: LogStream): void {
    if (stream.reading || this.live.has(stream)) return;
    stream.reading = true;
    this.lane(() => this.catchUpOn(stream))
      .catch((error: unknown) => {
        this.unread(error);
      })
      .finally(() => {
        stream.reading = false;
      });
  }

  private async catchUpOn(stream: LogStream): Promise<void> {
    while (!stream.ended && !stream.full) {
      const seen = this.wakes;
      const query = { ...stream.filter, after: stream.at.seq, ...PAGE };
      const tail = await this.options.read(query);
      if (tail === null || hasEnded(stream)) return;
      if (isOther(stream.at, tail)) {
        tellOther(stream, tail);
        continue;
      }
      tellMissing(stream, tail);
      hand(stream, tail.rows, reached(tail), new Map());
      if (tail.more || isFull(stream) || !this.join(stream)) continue;
      if (seen !== this.wakes) this.follow();
      return;
    }
  }

  /** False while it lacks rows that the live streams have been given. */
  private join(stream: LogStream): boolean {
    if (this.live.size === 0) this.at = stream.at;
    if (this.at.incarnation !== stream.at.incarnation || stream.at.seq < this.at.seq) return false;
    this.live.add(stream);
    return true;
  }

  private unread(error: unknown): void {
    const problem = databaseProblem(error);
    this.options.log.debug({ problem }, 'the log cannot be read; the next look tries again');
  }

  private gauge(): void {
    this.options.metrics.set('muster_api_event_streams', {}, this.all.size);
  }
}

/** Functions, because these change while we wait and while we send. */
function hasEnded(stream: LogStream): boolean {
  return stream.ended;
}

function isFull(stream: LogStream): boolean {
  return stream.full;
}

/** Another incarnation: said, and gone on from what both may have in common. */
function tellOther(stream: LogStream, tail: Tail): void {
  const was = stream.at.incarnation;
  stream.at = continued(stream.at, tail);
  stream.say('incarnation', { incarnation: tail.incarnation, was, head: tail.head });
}

/** Rows that it wants and that are gone. */
function tellMissing(stream: LogStream, { floor }: Tail): void {
  const from = stream.at.seq + 1;
  if (from >= floor) return;
  stream.at = { ...stream.at, seq: floor - 1 };
  stream.say('missing', { from, to: floor - 1 });
}

/** Gives a stream the rows that it wants and does not have. */
function hand(
  stream: LogStream,
  rows: readonly TailRow[],
  next: LogCursor,
  texts: Map<string, string>,
): void {
  for (const row of rows) {
    if (row.seq <= stream.at.seq || !matches(row, stream.filter)) continue;
    stream.at = { ...next, seq: row.seq };
    stream.send(textOf(row, next, stream.whole, texts));
    if (stream.full) return;
  }
  if (next.seq > stream.at.seq) stream.at = next;
}

/** How far a read page goes: with no more to come, to the head, whatever of it matched. */
function reached({ incarnation, head, rows, more }: Tail): LogCursor {
  return { incarnation, seq: more ? (rows.at(-1)?.seq ?? head) : head };
}

/** A head that fell is another log, even where nobody renewed the incarnation. */
function isOther(at: LogCursor, tail: Tail): boolean {
  return at.incarnation !== tail.incarnation || tail.head < at.seq;
}

function continued(at: LogCursor, { incarnation, head }: Tail): LogCursor {
  return { incarnation, seq: Math.min(at.seq, head) };
}

/** Written once, for however many streams. */
function textOf(
  row: TailRow,
  { incarnation }: LogCursor,
  whole: boolean,
  texts: Map<string, string>,
): string {
  const key = `${String(row.seq)}${whole ? ' whole' : ''}`;
  const known = texts.get(key);
  if (known !== undefined) return known;
  const id = formatCursor({ incarnation, seq: row.seq });
  const text = `id: ${id}\nevent: log\ndata: ${dataOf(row, whole)}\n\n`;
  texts.set(key, text);
  return text;
}

function dataOf(row: TailRow, whole: boolean): string {
  const text = JSON.stringify(logEvent(row));
  if (whole || isSurelySmall(text)) return text;
  const { payload, omitted } = inBrief(row.payload);
  return omitted === null ? text : JSON.stringify(logEvent({ ...row, payload, omitted }));
}

/** Runs at most `width` tasks at once, the rest in order of arrival. */
function lanes(width: number): (task: () => Promise<void>) => Promise<void> {
  const waiting: (() => void)[] = [];
  let busy = 0;
  return async (task) => {
    if (busy >= width) await new Promise<void>((resolve) => waiting.push(resolve));
    else busy += 1;
    try {
      await task();
    } finally {
      const next = waiting.shift();
      if (next === undefined) busy -= 1;
      else next();
    }
  };
}
