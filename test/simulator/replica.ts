/**
 * The API of one process: the real readers of bodies, the real heartbeat, the real long polls and the real
 * memory, behind a router that stands for the web server. The queue's entrance is modelled: an insert, then
 * the wait for a verdict.
 */
import { createHash } from 'node:crypto';
import type { Submitted } from '../../src/api/deps.ts';
import { followDispatches } from '../../src/api/follow.ts';
import { hearHost, snapshotOf, type Room } from '../../src/api/hearing.ts';
import { createMemory, type Memory } from '../../src/api/memory.ts';
import { Polls } from '../../src/api/polls.ts';
import { fromDatabase, Refusal } from '../../src/api/refusal.ts';
import { readPost, submitOne } from '../../src/api/routes/events.ts';
import { readHeartbeat } from '../../src/api/routes/heartbeat.ts';
import { encodeInput } from '../../src/queue/enqueue.ts';
import type { AgentEventInput, RefusedEventInput } from '../../src/reducer/input.ts';
import type { StoredInput } from '../../src/wire/input.ts';
import { problemCode } from '../../src/wire/problem.ts';
import { NO_METRICS, SILENT_LOG, type Process } from './process.ts';
import {
  dispatchesSince,
  offerDispatch,
  readHeard,
  writeMisses,
  writePresence,
} from './statements.ts';

export interface Request {
  readonly hostname: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Response {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

const EMPTY = Buffer.alloc(0);
const VERDICT_WAIT_MS = 2_000;
const VERDICT_POLL_MS = 250;
const POLL_MS = 60_000;

/** An event that was answered with 2xx. */
export type Accepted = (
  input: AgentEventInput | RefusedEventInput,
  status: Submitted['status'],
) => void;

export class Replica {
  private readonly process: Process;
  private readonly memory: Memory;
  private readonly polls: Polls;
  private readonly room: Room;
  private readonly onAccepted: Accepted;

  constructor(process: Process, onAccepted: Accepted) {
    this.process = process;
    this.onAccepted = onAccepted;
    const { clock, random, world } = process;
    const { db } = world;
    const shared = { clock, log: SILENT_LOG, metrics: NO_METRICS, random };
    this.memory = createMemory({
      ...shared,
      keepMisses: (hosts) => process.query(() => writeMisses(db, hosts)),
    });
    this.polls = new Polls({
      ...shared,
      maxParked: 1_000,
      offer: (hostname) => process.query(() => offerDispatch(db, hostname)),
    });
    followDispatches(
      {
        ...shared,
        wake: { subscribe: (listener) => process.on('out', listener) },
        since: (seq) => process.query(() => dispatchesSince(db, seq)),
      },
      this.polls,
    );
    this.room = {
      memory: this.memory,
      hear: (question) => process.query(() => readHeard(db, question)),
      keep: (row) => process.query(() => writePresence(db, row)),
      submit: (input, { waitMs }) => this.submit(input, waitMs),
      verdictWaitMs: VERDICT_WAIT_MS,
      onHeard: () => undefined,
    };
  }

  async handle(request: Request): Promise<Response> {
    try {
      return await this.route(request);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (error.options.why !== undefined) this.memory.noteShed();
      return refused(error);
    }
  }

  /** The client of an event has gone before its answer. */
  abandoned({ hostname, path }: Request): void {
    this.process.deliver(() => {
      if (path === '/v1/agent/events') this.memory.noteMiss(hostname);
    });
  }

  private route(request: Request): Promise<Response> {
    if (request.path === '/v1/agent/events') return this.event(request);
    if (request.path === '/v1/agent/heartbeat') return this.heartbeat(request);
    if (request.path.startsWith('/v1/agent/dispatch')) return this.dispatch(request);
    return this.artifact(request);
  }

  private async event(request: Request): Promise<Response> {
    const { hostname, body, headers } = request;
    const input = readPost(hostname, { text: body, tooLarge: false });
    const limits = { verdictWaitMs: VERDICT_WAIT_MS };
    const submitted = await submitOne(
      { submit: (stored, { waitMs }) => this.submit(stored, waitMs), limits },
      this.memory,
      input,
    );
    const response = answerOf(submitted, headers['prefer'] === 'verdict');
    if (response.status >= 300) this.memory.noteMiss(hostname);
    if (submitted.status === 'judged' || submitted.status === 'queued')
      this.onAccepted(input, submitted.status);
    return response;
  }

  private async heartbeat({ hostname, body }: Request): Promise<Response> {
    const heartbeat = readHeartbeat(hostname, { text: body, tooLarge: false });
    const receivedAt = new Date(this.process.clock.now()).toISOString();
    const { replay, records } = await fromDatabase(SILENT_LOG, () =>
      hearHost(this.room, heartbeat),
    );
    const snapshots = records.map((record) => snapshotOf(record, receivedAt));
    const said = replay === null ? {} : { 'x-nixfleet-replay-from': String(replay) };
    if (replay !== null || snapshots.length > 0) {
      const states = snapshots.map(({ rolloutId, state }) => `${rolloutId} ${state}`).join(', ');
      this.process.world.trace.say(
        this.process.name,
        `to ${hostname}: replay ${String(replay)} [${states}]`,
      );
    }
    const bootstrap = snapshots.length > 0 ? { bootstrap_rollouts: snapshots } : {};
    return json(200, { received_at: receivedAt, ...bootstrap }, said);
  }

  private async dispatch({ hostname }: Request): Promise<Response> {
    const poll = await fromDatabase(SILENT_LOG, () => this.polls.start(hostname, POLL_MS));
    const row = await poll.answer;
    if (row === null) return { status: 204, headers: {}, body: EMPTY };
    const { rollout_id, target_closure, soak_due_at, enqueued_at } = row;
    this.process.world.trace.say(this.process.name, `offers ${rollout_id} to ${hostname}`);
    return json(200, { hostname, rollout_id, target_closure, soak_due_at, enqueued_at });
  }

  private async artifact({ path, headers }: Request): Promise<Response> {
    const { db } = this.process.world;
    const isSig = path.endsWith('/sig');
    const name = path
      .slice('/v1/'.length, isSig ? -'/sig'.length : undefined)
      .replace('rollouts/', '');
    const row = await fromDatabase(SILENT_LOG, () =>
      this.process.query(() => db.served(name) ?? null),
    );
    if (row === null) return json(404, {});
    const body = Buffer.from(isSig ? row.signature : row.bytes);
    const etag = createHash('sha256').update(body).digest('base64url');
    if (headers['if-none-match'] === etag) return { status: 304, headers: {}, body: EMPTY };
    return { status: 200, headers: { etag }, body };
  }

  /** The entrance of the queue: durable first, then what became of it, if that is known in time. */
  async submit(input: StoredInput, waitMs: number): Promise<Submitted> {
    const { process } = this;
    const { db } = process.world;
    const insert = process.query(() => db.insert(encodeInput(input), process.name));
    if (db.breaks.has('reply-before-commit')) {
      insert.catch(() => undefined);
      return { status: 'queued' };
    }
    let id: number;
    try {
      id = await insert;
    } catch {
      const retryAfterSecs = 2 + Math.floor(process.random() * 5);
      return { status: 'unavailable', why: 'database-away', retryAfterSecs };
    }
    return (await this.verdict(id, waitMs)) ?? { status: 'queued' };
  }

  private async verdict(id: number, waitMs: number): Promise<Submitted | null> {
    const { process } = this;
    const { db, scheduler } = process.world;
    const until = scheduler.now + waitMs;
    while (scheduler.now < until) {
      await process.heardWithin('out', Math.min(VERDICT_POLL_MS, until - scheduler.now));
      const found = await process.query(() => db.data.verdicts.get(id) ?? null).catch(() => null);
      if (found !== null) return { status: 'judged', verdict: found.verdict, seqs: found.seqs };
    }
    return null;
  }
}

function answerOf(submitted: Submitted, prefersVerdict: boolean): Response {
  switch (submitted.status) {
    case 'queued':
      return { status: 202, headers: {}, body: EMPTY };
    case 'invalid':
      throw new Error('the model stores everything');
    case 'unavailable':
      return json(503, {}, { 'retry-after': String(submitted.retryAfterSecs) });
    case 'judged': {
      const { verdict } = submitted;
      if (verdict.status !== 'refused' || !prefersVerdict)
        return { status: 204, headers: {}, body: EMPTY };
      const { code, detail, state, lastEventSeq } = verdict;
      return refused(new Refusal(problemCode(code), detail, { facts: { state, lastEventSeq } }));
    }
  }
}

function refused(refusal: Refusal): Response {
  const { retryAfterSecs } = refusal.options;
  const wait = retryAfterSecs === undefined ? {} : { 'retry-after': String(retryAfterSecs) };
  return json(refusal.status, refusal.body, wait);
}

function json(
  status: number,
  value: object,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return { status, headers, body: Buffer.from(JSON.stringify(value)) };
}
