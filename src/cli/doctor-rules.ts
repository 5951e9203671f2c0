/** The doctor's rules: what each fact about a database means for Muster, and what to do about it. */
import type { Facts } from '../db/doctor.ts';
import type { Blocker } from '../db/in-the-way.ts';
import { isStranger } from '../db/lock.ts';
import { LOG_AHEAD_SECONDS } from '../db/measure.ts';
import { lockTaken, NOBODY_WORKS } from '../wire/lock-taken.ts';
import type { Path } from '../db/path.ts';
import { HELD_WARNING, type Holder } from '../db/notifications.ts';
import { lostTriggersProblem } from '../db/own-triggers.ts';
import { named } from '../db/rights.ts';
import type { Room } from '../db/rooms.ts';

export interface Found extends Facts, Path {
  /** The login's sessions cannot write unless they ask for it. */
  readonly readOnly: boolean;
  /** What is wrong with the leader's own URL; null: nothing, or there is none. */
  readonly leaderUrl: string | null;
}

export interface Finding {
  /** `wrong`: Muster does not work, or not safely. `warning`: it does, with the loss that is named. */
  readonly level: 'wrong' | 'warning';
  readonly check: string;
  /** What is so, and what to do. */
  readonly text: string;
}

/** idle_session_timeout, which frees a frozen leader's lock, came with 14; 15 is the oldest tested. */
const OLDEST_VERSION = 150_000;
/** Signatures may be a minute ahead and graces are minutes: a few seconds are noise, more is a clock that runs free. */
const SKEW_MS = 5_000;
/** The queue's dead rows pile up behind it: at full load some 400,000 in a minute. */
const LONG_TRANSACTION_SECONDS = 60;
/** As the alert MusterOldestXmin has it: some hours of full load. */
const OLD_SNAPSHOT_TRANSACTIONS = 1_000_000;
/** The longest that nobody leads while a process that is cut off still holds the lock. */
const WAITS_SECONDS = 15;
/** Releases that count in segments have no room left a little below 1. */
const HELD_FULL = 0.99;
/** A process takes about fifteen connections; two of them should find room. */
const SPARE_CONNECTIONS = 30;
/** A process that only serves, or only leads and works, does not get by with fewer. */
const LEAST_CONNECTIONS = 10;

const LIMITS: Readonly<Record<Room['of'], string>> = {
  server: "the server's max_connections, less its reserve,",
  database: 'the CONNECTION LIMIT of the database',
  login: 'the CONNECTION LIMIT of the login',
};

/** With these a commit is answered before a standby has it on disk; `off` is a finding of its own. */
const WEAK_COMMITS: ReadonlySet<string> = new Set(['local', 'remote_write']);
/** With these no commit waits for a standby. */
const UNCONFIRMED_COMMITS: ReadonlySet<string> = new Set(['local', 'off']);
const GRANT =
  'run "muster migrate" as the schema\'s login, or put this one into its role (docs/database-roles.md)';

/** Without some of them the doctor itself gets no further. */
export function mayNotCall(functions: readonly string[]): Finding | null {
  return functions.length === 0
    ? null
    : wrong(
        'functions',
        `the role may not call ${named(functions)}, as everybody may on a server as it comes: GRANT EXECUTE ON FUNCTION`,
      );
}

/** Each rule answers with what is wrong, or with nothing. */
const RULES: readonly ((facts: Found) => Finding | null)[] = [
  (facts) =>
    isPooled(facts)
      ? wrong(
          'pooler',
          'a pooler stands between: another backend answers than the one that was connected to. Locks and LISTEN get lost in transaction mode: give the URL of PostgreSQL itself',
        )
      : null,
  ({ dropsSettings }) => (dropsSettings === null ? null : wrong('settings', dropsSettings)),
  ({ hears }) =>
    hears === false
      ? wrong(
          'notifications',
          'a notification of another session did not arrive: something in between drops them, and everything waits for the next poll. Give the URL of PostgreSQL itself',
        )
      : null,
  ({ hears }) =>
    hears === 'held'
      ? wrong(
          'commits-hang',
          'a commit that notifies does not end, and no other can: it waits for a standby that is away (standby-away), or for a disk. pg_stat_activity tells (wait_event), of sessions whose state is active and whose query is COMMIT or pg_notify',
        )
      : null,
  ({ inTheWay: [first] }) =>
    first === undefined
      ? null
      : wrong(
          'blocked',
          `what Muster's sessions wait for is held by ${first.who}: ${adviceOn(first)}`,
        ),
  ({ recovering }) =>
    recovering ? wrong('standby', 'the server is a standby: give the URL of the primary') : null,
  ({ leaderUrl }) => (leaderUrl === null ? null : wrong('leader-url', leaderUrl)),
  ({ version }) =>
    version < OLDEST_VERSION
      ? wrong('version', `PostgreSQL ${dotted(version)} is too old: upgrade to 15 or newer`)
      : null,
  ({ readOnly }) =>
    readOnly
      ? wrong(
          'read-only',
          'default_transaction_read_only is on for this login, and nothing can be written: reset it for the role, the database or the server',
        )
      : null,
  ({ schemaUsable }) =>
    schemaUsable
      ? null
      : wrong(
          'rights',
          'the role may not use the schema: grant it with muster migrate --roles, or GRANT USAGE ON SCHEMA',
        ),
  // Behind a pooler that drops our settings another schema is looked at.
  (facts) =>
    facts.schemaProblem === null || isPooled(facts) ? null : wrong('schema', facts.schemaProblem),
  ({ shape }) =>
    shape === null || shape.missing.length === 0
      ? null
      : wrong(
          'schema',
          `the schema has lost ${named(shape.missing)}: put it back as the files in migrations/ make it, as the owner; rows of derived tables come back with muster replay --rebuild`,
        ),
  ({ shape }) =>
    shape === null || shape.unlogged.length === 0
      ? null
      : wrong(
          'unlogged',
          `a crash of the server empties ${named(shape.unlogged)}, and what was acknowledged with it: as the owner, ALTER TABLE … SET LOGGED`,
        ),
  ({ shape }) => {
    const lost = lostTriggersProblem(shape?.lost ?? []);
    return lost === null ? null : wrong('triggers', lost);
  },
  ({ shape }) =>
    shape === null || shape.strange.length === 0
      ? null
      : warning(
          'triggers',
          `there are triggers, rules or constraints that are no part of Muster, and may refuse its rows or swallow them: ${named(shape.strange)}: drop them, as the owner`,
        ),
  ({ logProblem }) => (logProblem === null ? null : wrong('append-only', logProblem)),
  ({ logEnd }) => (logEnd === null ? null : wrong('log', logEnd)),
  ({ logAhead }) =>
    logAhead > LOG_AHEAD_SECONDS
      ? warning(
          'log-ahead',
          `the newest row of the log is ${String(Math.round(logAhead))} s later than the server's clock: until that has passed, no soak ends and what is signed now counts as old. Set the clock right, or wait (docs/operations/log-ahead.md)`,
        )
      : null,
  ({ rights }) =>
    rights?.serves === true && rights.lacksToServe.length > 0
      ? wrong('rights', `to serve, the role lacks ${named(rights.lacksToServe)}: ${GRANT}`)
      : null,
  ({ rights }) =>
    rights?.leads === true && rights.lacksToLead.length > 0
      ? wrong('rights', `to lead and work, the role lacks ${named(rights.lacksToLead)}: ${GRANT}`)
      : null,
  ({ rights }) =>
    rights === null || rights.veiled.length === 0
      ? null
      : wrong(
          'row-security',
          `row level security hides rows of ${named(rights.veiled)} from this login, and statements on them fail: as the owner, ALTER TABLE … DISABLE ROW LEVEL SECURITY, or give the login BYPASSRLS`,
        ),
  ({ rights }) =>
    rights?.leads === false && rights.lacksToLead.length > 0
      ? warning(
          'leader-rights',
          'the role may not write the log: with it, a process serves but cannot lead. Give a role that may as MUSTER_LEADER_DATABASE_URL',
        )
      : null,
  ({ rights }) =>
    rights?.serves === false && rights.lacksToServe.length > 0
      ? warning(
          'api-rights',
          'the role is for leading and working: right as MUSTER_LEADER_DATABASE_URL, but it cannot serve. Give one that may as MUSTER_DATABASE_URL',
        )
      : null,
  ({ locks: { leader } }) =>
    leader !== null && isStranger(leader)
      ? warning('leader-lock', lockTaken('leader', leader))
      : null,
  ({ locks: { leader }, waits }) =>
    leader === null && waits > WAITS_SECONDS
      ? warning(
          'leader',
          `nobody leads, and the oldest input has waited for ${String(Math.round(waits))} s: start a process with the role leader, or see in its log why it does not lead (docs/operations/no-leader.md)`,
        )
      : null,
  ({ locks: { workers } }) =>
    workers !== null && isStranger(workers)
      ? warning('workers-lock', lockTaken('workers', workers))
      : null,
  ({ locks: { leader, workers } }) =>
    leader !== null && !isStranger(leader) && workers === null
      ? warning('workers', NOBODY_WORKS)
      : null,
  ({ uncallable }) => mayNotCall(uncallable),
  ({ marks }) =>
    marks
      ? null
      : wrong(
          'mark',
          'the role may not call pg_logical_emit_message, by which commits are tried and commands confirmed: grant EXECUTE',
        ),
  ({ fsync }) =>
    fsync
      ? null
      : wrong('fsync', 'fsync is off: what was acknowledged is lost in a crash; turn it on'),
  ({ transactionMs }) =>
    transactionMs === 0
      ? null
      : warning(
          'transaction-timeout',
          `transaction_timeout is ${String(transactionMs)} ms for this login: the leader sets its own, but requests that wait for a lock or a large answer for so long lose their connection; set it to 0 for the logins of Muster (ALTER ROLE … SET transaction_timeout = 0)`,
        ),
  ({ fullPages }) =>
    fullPages
      ? null
      : warning(
          'full-page-writes',
          'full_page_writes is off: a crash of the machine may leave pages of the log half written; turn it on, unless the file system writes pages whole (ZFS)',
        ),
  ({ vacuums }) =>
    vacuums
      ? null
      : warning(
          'autovacuum',
          'autovacuum is off, or counts nothing by which it knows what to do (track_counts): the tables of the queue and of presence grow without end, and get slow; turn both on',
        ),
  ({ shape }) =>
    shape === null || shape.unvacuumed.length === 0
      ? null
      : warning(
          'autovacuum',
          `autovacuum is off for ${named(shape.unvacuumed)}, which grow without end, and get slow: ALTER TABLE … RESET (autovacuum_enabled)`,
        ),
  ({ tracks }) =>
    tracks
      ? null
      : warning(
          'activities',
          'track_activities is off: a statement that hangs cannot be told from an idle session, so that neither is ended, and sessions pile up while a standby is away; turn it on',
        ),
  ({ synchronousCommit }) =>
    synchronousCommit === 'off'
      ? wrong(
          'synchronous-commit',
          'synchronous_commit is off: a crash loses what was acknowledged; set it to on',
        )
      : null,
  ({ synchronousStandbys }) =>
    synchronousStandbys === ''
      ? warning(
          'standby-sync',
          'no synchronous standby: a failover of the database may lose the last commits. Set synchronous_standby_names, or accept that',
        )
      : null,
  ({ synchronousStandbys, synchronousCommit }) =>
    synchronousStandbys !== '' && WEAK_COMMITS.has(synchronousCommit)
      ? warning(
          'standby-sync',
          `synchronous_commit is ${synchronousCommit}: what is acknowledged need not be on the standby's disk, and a failover may lose it. Set it to on`,
        )
      : null,
  ({ synchronousStandbys, synchronousCommit, confirmingStandbys }) =>
    synchronousStandbys !== '' &&
    !UNCONFIRMED_COMMITS.has(synchronousCommit) &&
    confirmingStandbys !== null &&
    confirmingStandbys < confirmations(synchronousStandbys)
      ? wrong(
          'standby-away',
          `commits wait for ${String(confirmations(synchronousStandbys))} of ${synchronousStandbys}, and ${String(confirmingStandbys)} can confirm: every write hangs. Bring the standby back, or take it out of synchronous_standby_names`,
        )
      : null,
  ({ clockAheadMs, roundTripMs }) =>
    Math.abs(clockAheadMs) - roundTripMs / 2 > SKEW_MS
      ? wrong(
          'clock',
          `the server's clock and this machine's differ by ${String(Math.round(Math.abs(clockAheadMs) / 1_000))} s: run NTP on both`,
        )
      : null,
  ({ horizon }) =>
    horizon.seconds > LONG_TRANSACTION_SECONDS
      ? warning(
          'long-transaction',
          `a transaction is open for ${String(Math.round(horizon.seconds))} s, that of ${horizon.whose ?? 'somebody'}, and vacuum cleans nothing that is newer than its snapshot: end it with pg_terminate_backend (a prepared one with ROLLBACK PREPARED), or set idle_in_transaction_session_timeout for its role`,
        )
      : null,
  ({ horizon }) =>
    horizon.transactions > OLD_SNAPSHOT_TRANSACTIONS
      ? warning(
          'old-snapshot',
          `somebody holds a snapshot that is ${String(horizon.transactions)} transactions old, and vacuum cleans nothing that is newer: look at sessions, standbys with hot_standby_feedback, replication slots and prepared transactions`,
        )
      : null,
  ({ notifications: { held, holder } }) =>
    held === null || held < HELD_WARNING
      ? null
      : (held < HELD_FULL ? warning : wrong)(
          'notification-queue',
          `the server's queue of notifications is ${String(Math.round(held * 100))} % full, and when it is full nothing commits that Muster notifies of. A session that listens stays in a transaction: ${whoHolds(holder)}`,
        ),
  ({ seesOthers }) =>
    seesOthers
      ? null
      : warning(
          'stats',
          "the role does not see others' transactions, nor whether a standby confirms: grant it pg_read_all_stats",
        ),
  ({ untouchable, rights }) =>
    untouchable.length === 0 || rights?.leads !== true
      ? null
      : warning(
          'signals',
          `processes lead as ${untouchable.join(', ')}, and this login may not end their sessions: one that freezes in the middle of a statement would keep its place until it is thawed. Give all that lead one login, or GRANT pg_signal_backend, pg_read_all_stats to each (docs/database-roles.md)`,
        ),
  ({ encoding }) =>
    encoding === 'UTF8'
      ? null
      : wrong(
          'encoding',
          `the database's encoding is ${encoding}, which lacks characters that Muster stores: make another with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`,
        ),
  ({ rooms }) => {
    const tight = rooms.find(({ limit }) => limit < LEAST_CONNECTIONS);
    return tight === undefined
      ? null
      : wrong(
          'connections',
          `${LIMITS[tight.of]} allows ${String(tight.limit)} connections, and a process takes up to sixteen: raise it`,
        );
  },
  ({ rooms }) => {
    const [least] = [...rooms].sort((a, b) => a.limit - a.taken - (b.limit - b.taken));
    return least === undefined || least.limit - least.taken >= SPARE_CONNECTIONS
      ? null
      : warning(
          'connections',
          `${String(least.limit - least.taken)} connections are left of the ${String(least.limit)} that ${LIMITS[least.of]} allows, and a process takes up to sixteen: raise it`,
        );
  },
];

/** Everything that the facts speak against. */
export function diagnose(facts: Found): readonly Finding[] {
  return RULES.flatMap((rule) => rule(facts) ?? []);
}

function wrong(check: string, text: string): Finding {
  return { level: 'wrong', check, text };
}

function warning(check: string, text: string): Finding {
  return { level: 'warning', check, text };
}

function isPooled({ backendPid, greetedByPid, keepsSession }: Found): boolean {
  return !keepsSession || (greetedByPid !== null && greetedByPid !== backendPid);
}

function adviceOn({ pid, ours }: Blocker): string {
  if (ours) return 'leave it, and ask again when it is done';
  return `end it with ${pid === 0 ? 'ROLLBACK PREPARED' : `SELECT pg_terminate_backend(${String(pid)})`}`;
}

function whoHolds(holder: Holder | null): string {
  if (holder === null) return "the server's log names it, as this role may not see it; end it";
  const { pid, login, database } = holder;
  return `the oldest transaction is that of session ${String(pid)} (${login} in database ${database}); end it with pg_terminate_backend`;
}

function dotted(version: number): string {
  return `${String(Math.floor(version / 10_000))}.${String(version % 10_000)}`;
}

/** How many must confirm: `ANY 2 (a, b)`, `FIRST 2 (a, b)`, `2 (a, b)`; a plain list is one. */
function confirmations(names: string): number {
  return Number(/^\s*(?:(?:any|first)\s+)?(\d+)\s*\(/i.exec(names)?.[1] ?? 1);
}
