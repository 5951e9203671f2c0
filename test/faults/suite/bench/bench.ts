/**
 * An installation to be broken: a PostgreSQL of its own, two processes with all roles, each behind a proxy of
 * its own, a signed rollout, and simulated hosts that report without a pause.
 */
import { chmodSync, mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { developmentTrust, releaseOf } from '../../../../src/cli/dev/release.ts';
import { oneWave } from '../../../e2e/support/one-wave.ts';
import type { LossWindow } from '../load/history.ts';
import { startLoad, type Load } from '../load/load.ts';
import { startBalancer } from '../wire/balancer.ts';
import { BenchDatabase, SCHEMA } from './database.ts';
import { startForgetfulDba } from './forgetful-dba.ts';
import { Member } from './member.ts';
import { Standby } from './standby.ts';

export interface BenchOptions {
  readonly dist: string;
  readonly postgres?: Readonly<Record<string, string>>;
  /** Where the cluster lies; default: below the bench's own directory. */
  readonly postgresDir?: string;
  readonly standby?: 'synchronous' | 'asynchronous';
  /** Somebody whose transaction stays open for the whole run. Default true. */
  readonly withDba?: boolean;
  /** No reports, commands or polls beside the events. */
  readonly eventsOnly?: boolean;
  /** Settings of every process, beside its own. */
  readonly flags?: readonly string[];
  /** When everything has ended, also after a failed start. */
  readonly onClosed?: () => void;
}

const HOSTS = Array.from({ length: 60 }, (_, i) => `host-${String(i + 1).padStart(2, '0')}`);
/** In the release, too, and never ready for it. */
const WAITING = Array.from({ length: 6 }, (_, i) => `late-${String(i + 1).padStart(2, '0')}`);
const FIRST_REF = 'fa017'.padEnd(40, '0');
/** Longer than any run: the hosts report while they soak. */
const SOAK_SECONDS = 36_000;
const HEALED_WITHIN_MS = 60_000;

export class Bench {
  readonly dir: string;
  readonly database: BenchDatabase;
  readonly members: readonly Member[];
  readonly load: Load;
  /** Inputs that faults put into the queue to die there, so far. */
  planted = 0;
  /** A standby that lagged has been promoted; null: none has. */
  lossWindow: LossWindow | null = null;
  /** What a fault has to say beside its numbers; the runner takes them. */
  readonly notes: string[] = [];
  private releases = 0;
  /** Steps of its end, the last first. */
  private readonly undo: Undo[];
  private readonly followed: Standby | null;

  private constructor(parts: Parts, undo: Undo[]) {
    this.dir = parts.dir;
    this.database = parts.database;
    this.members = parts.members;
    this.load = parts.load;
    this.followed = parts.standby;
    this.undo = undo;
  }

  /** Everything up, every host at its soak, no load yet. */
  static async start(options: BenchOptions): Promise<Bench> {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'muster-faults-'));
    chmodSync(dir, 0o755); // as root, PostgreSQL runs as nobody
    const undo: Undo[] = [
      () => Promise.resolve(options.onClosed?.()),
      () => rm(dir, { recursive: true, force: true }),
    ];
    try {
      return new Bench(await startParts(dir, options, undo), undo);
    } catch (error) {
      await undoAll(undo);
      throw error;
    }
  }

  get standby(): Standby {
    if (this.followed === null) throw new Error('this bench has no standby');
    return this.followed;
  }

  /** Who leads, as the database says, and runs. */
  async leader(): Promise<Member> {
    const until = performance.now() + HEALED_WITHIN_MS;
    for (;;) {
      const { holder } = await this.epoch();
      const member = this.members.find(({ name }) => name === holder);
      if (member?.isUp === true) return member;
      if (performance.now() > until) throw new Error('nobody leads');
      await delay(10);
    }
  }

  async follower(): Promise<Member> {
    const leader = await this.leader();
    return this.other(leader);
  }

  other(member: Member): Member {
    const found = this.members.find((one) => one !== member);
    if (found === undefined) throw new Error('there is no other');
    return found;
  }

  async epoch(): Promise<{ readonly epoch: number; readonly holder: string }> {
    const [row] = await this.database.sql<{ epoch: number; holder: string }[]>`
      SELECT epoch::int AS epoch, holder FROM epoch`;
    return row ?? { epoch: 0, holder: '' };
  }

  /** Milliseconds until a later epoch has committed its first row. */
  async untilEpochAbove(epoch: number, withinMs = HEALED_WITHIN_MS): Promise<number> {
    const from = performance.now();
    for (;;) {
      const rows = await this.database.sql`
        SELECT 1 FROM event_log WHERE kind = 'leadership' AND epoch > ${epoch}`;
      if (rows.length > 0) return performance.now() - from;
      if (performance.now() - from > withinMs) throw new Error(`no epoch above ${epoch}`);
      await delay(5);
    }
  }

  /** Every process up, ready and well connected. */
  async heal(): Promise<void> {
    for (const member of this.members) {
      await member.signal('SIGCONT');
      member.proxy.heal();
      member.shiftClock(0);
      member.start();
    }
    await Promise.all(this.members.map((member) => member.untilReady()));
    await this.leader();
  }

  /** Signs the next release; every host is to move once more. */
  async release(): Promise<void> {
    this.releases += 1;
    await publish(this.dir, this.releases.toString(16).padStart(8, '0').padEnd(40, 'e'));
  }

  /** The database is another server from now on, for these processes. */
  redirect(members: readonly Member[], port: number): void {
    this.lead(members, port);
    for (const { proxy } of members) proxy.cutAll();
  }

  /** Connections that are made from now on; those that are open go on to where they lead. */
  lead(members: readonly Member[], port: number): void {
    for (const { proxy } of members) proxy.target = port;
  }

  async close(): Promise<void> {
    await undoAll(this.undo);
  }
}

type Undo = () => Promise<unknown>;

interface Parts {
  readonly dir: string;
  readonly database: BenchDatabase;
  readonly members: readonly Member[];
  readonly load: Load;
  readonly standby: Standby | null;
}

async function undoAll(undo: Undo[]): Promise<void> {
  for (const step of undo.splice(0).reverse()) await step();
}

async function startParts(dir: string, options: BenchOptions, undo: Undo[]): Promise<Parts> {
  const place = options.postgresDir ?? path.join(dir, 'postgres');
  const database = await BenchDatabase.start(place, options.postgres);
  undo.push(() => database.close());
  await database.migrate();
  const standby = await startStandby(dir, database, options, undo);
  const members = await startMembers(dir, database, options, undo);
  const balancer = await startBalancer(members.map(({ port }) => port));
  undo.push(() => balancer.close());
  const { eventsOnly = false } = options;
  const load = await startLoad(balancer.port, HOSTS, { waiting: WAITING, eventsOnly });
  // First the load's end: hosts that repeat an event until it is taken would repeat it for ever.
  undo.push(() => load.end());
  if (options.withDba !== false) {
    const dba = startForgetfulDba(() => database.url, SCHEMA);
    undo.push(() => dba.close());
  }
  return { dir, database, members, load, standby };
}

async function startStandby(
  dir: string,
  database: BenchDatabase,
  options: BenchOptions,
  undo: Undo[],
): Promise<Standby | null> {
  if (options.standby === undefined) return null;
  const synchronous = options.standby === 'synchronous';
  const standby = await Standby.start(database, path.join(dir, 'standby'), synchronous);
  undo.push(() => standby.close());
  return standby;
}

async function publish(dir: string, ref: string): Promise<void> {
  const { key } = developmentTrust(dir);
  await releaseOf(dir, oneWave([...HOSTS, ...WAITING], ref, SOAK_SECONDS), key).sign(Date.now());
}

async function startMembers(
  dir: string,
  database: BenchDatabase,
  options: BenchOptions,
  undo: Undo[],
): Promise<readonly Member[]> {
  const { trustFile } = developmentTrust(dir);
  await publish(dir, FIRST_REF);
  const source = path.join(dir, 'source');
  const { dist, flags = [] } = options;
  const common = { dist, databaseUrl: database.url, dir, trustFile, source, flags };
  const members: Member[] = [];
  for (const name of ['a', 'b']) {
    const member = await Member.create({ ...common, name });
    members.push(member);
    undo.push(() => member.close());
    member.start();
  }
  for (const member of members) await member.untilReady();
  return members;
}
