/**
 * The committed state in memory, for as long as somebody asks: what the pure functions that explain and
 * preview need. It is loaded from the tables on the first question, brought forward by folding the log rows
 * committed since (a commit boundary is a state that was), and dropped when nobody has asked for a while.
 *
 * Size: some 1.5 kB a host and rollout, as the leader holds it, so 150 MB for 100,000 hosts, and only while
 * operators look. Failure behaviour: whatever goes wrong drops the state; the next question loads it anew.
 */
import type { DatabaseOptions, Sql } from '../db/driver.ts';
import { openSession } from '../db/session.ts';
import { inTransaction } from '../db/transaction.ts';
import type { Pool } from '../db/pool.ts';
import type { Settings } from '../reducer/settings.ts';
import type { Sliced } from '../reducer/slices.ts';
import { restoring } from '../reducer/state/rows-io.ts';
import { cleanDirty } from '../reducer/state/dirty.ts';
import type { FleetState } from '../reducer/state/state.ts';
import type { Clock } from '../telemetry.ts';
import { declareContent } from './contents.ts';
import { readLog } from './read.ts';
import { foldLog } from './replay.ts';
import { loadState } from './state.ts';

export interface Follower {
  /**
   * What `look` makes of the state as committed when asked, or later. It runs in one go and must leave the
   * state as it was, and keep nothing of it but rows, which never change.
   */
  read<T>(look: (state: FleetState) => T): Promise<T>;
  /** Forgets the state. */
  end(): void;
}

export interface FollowerOptions {
  readonly database: DatabaseOptions;
  readonly pool: Pool;
  readonly settings: Settings;
  readonly clock: Clock;
  /** Milliseconds without a question after which the state is dropped. */
  readonly idleMs?: number;
}

/** Somebody who reads a page asks again within a minute, or has left. */
const IDLE_MS = 60_000;
/** Reading the tables of 100,000 hosts takes seconds. */
const LOAD_DEADLINE_MS = 60_000;
/** Beyond this many rows loading is cheaper than folding. */
const MOST_FOLDED = 20_000;
/** Rows folded in one stretch: some 10 ms. */
const PAGE = 500;

interface Head {
  readonly seq: number;
  readonly incarnation: string;
}

async function committedHead(sql: Sql): Promise<Head> {
  const [row] = await sql<Head[]>`
    SELECT head_seq AS seq, incarnation FROM leader_progress, epoch`;
  return row ?? { seq: 0, incarnation: '' };
}

export function createFollower(options: FollowerOptions): Follower {
  return new StateFollower(options);
}

interface Held {
  readonly state: FleetState;
  readonly incarnation: string;
}

class StateFollower implements Follower {
  private readonly options: FollowerOptions;
  private held: Held | null = null;
  private running: Promise<FleetState> | null = null;
  private next: Promise<FleetState> | null = null;
  private forget = (): void => undefined;

  constructor(options: FollowerOptions) {
    this.options = options;
  }

  async read<T>(look: (state: FleetState) => T): Promise<T> {
    const state = await this.current();
    // No await between: another question may not move the state on meanwhile.
    const seen = look(state);
    this.rest();
    return seen;
  }

  end(): void {
    this.forget();
    this.held = null;
  }

  /** One looks for all who asked before it began: a question sees at least what was committed when it came. */
  private current(): Promise<FleetState> {
    if (this.next !== null) return this.next;
    const before = this.running ?? Promise.resolve();
    this.next = before
      .catch(() => undefined)
      .then(() => {
        const run = this.advance();
        this.running = run;
        this.next = null;
        return run;
      });
    return this.next;
  }

  private async advance(): Promise<FleetState> {
    this.forget();
    const { held } = this;
    this.held = null;
    const head = await this.options.pool.run(committedHead);
    const fits =
      held !== null &&
      held.incarnation === head.incarnation &&
      head.seq >= held.state.headSeq &&
      head.seq - held.state.headSeq <= MOST_FOLDED;
    const state = fits ? held.state : await load(this.options);
    if (fits) await this.foldUpTo(state, head.seq);
    state.dirty = cleanDirty();
    this.held = { state, incarnation: head.incarnation };
    return state;
  }

  private async foldUpTo(state: FleetState, seq: number): Promise<void> {
    const before = declared(state);
    while (state.headSeq < seq) {
      const after = state.headSeq;
      const rows = await this.options.pool.run((sql) => readLog(sql, { after, limit: PAGE }));
      foldLog(
        state,
        rows.filter((row) => row.seq <= seq),
      );
      if (state.headSeq === after) throw new Error(`the log ends at ${String(after)}`);
    }
    if (declared(state) !== before)
      await this.options.pool.run((sql) => declareContent(sql, state));
  }

  private rest(): void {
    this.forget();
    const { clock, idleMs = IDLE_MS } = this.options;
    this.forget = clock.after(idleMs, () => {
      this.held = null;
    });
  }
}

/** What names the declarations in force. */
function declared({ fleet, channels }: FleetState): string {
  const manifests = [...channels.values()].map((channel) => channel.manifestHash);
  return JSON.stringify([fleet.fleetHash, ...manifests]);
}

async function load({ database, settings }: FollowerOptions): Promise<FleetState> {
  const session = await openSession(database, {
    role: 'follow',
    settings: { statement_timeout: String(LOAD_DEADLINE_MS) },
    deadlineMs: LOAD_DEADLINE_MS,
  });
  try {
    return await inTransaction(session, async (sql) => {
      await sql`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY`;
      const state = await inSteps(restoring(await loadState(sql), settings));
      await declareContent(sql, state);
      return state;
    });
  } finally {
    await session.end();
  }
}

/** Runs the steps and lets others run in between. */
async function inSteps<T>(steps: Sliced<T>): Promise<T> {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    await new Promise(setImmediate);
  }
}
