/** What a database error means to those who have to decide whether to retry, refuse or step down. */
import postgres from 'postgres';
import { DeadlineError } from './deadline.ts';
import { CONNECT_TIMEOUT_SECS } from './driver.ts';

/** The SQLSTATE of many limits, which only the place in the server's code tells from each other. */
const LIMIT = '54000';

/** The SQLSTATE of a server's error, else null. */
export function sqlState(error: unknown): string | null {
  return error instanceof postgres.PostgresError ? error.code : null;
}

/** Where the server measures a value, of all that say 54000: the others are at limits of their own, that of transactions say. */
const MEASURES_VALUES: ReadonlySet<string> = new Set([
  'index_form_tuple_context',
  '_bt_check_third_page',
]);
const TOO_DEEP = '54001';
const SEQUENCE_AT_END = '2200H';
const CHECK_VIOLATION = '23514';
/** Checks of values, by their names; see migration 0029. */
const CHECKS_VALUES = /_instants$/;

/**
 * This statement's values can never be stored, whenever they come: class 22 (data exception), of 54 (a limit) what is
 * nested too deep or too large, and what our own checks of values refuse. Only that: whoever sent them is told that they are
 * done with. Not the rest of class 23: a key that is there already is the log's second fence, a partition that is missing is
 * a 23514, and somebody else's check may refuse every row.
 */
export function isDataError(error: unknown): boolean {
  if (!(error instanceof postgres.PostgresError)) return false;
  const { code, routine, constraint_name: constraint = '' } = error;
  if (code === LIMIT) return MEASURES_VALUES.has(routine);
  if (code === CHECK_VIOLATION) return CHECKS_VALUES.test(constraint);
  return code === TOO_DEEP || (code.startsWith('22') && code !== SEQUENCE_AT_END);
}

/** Nothing commits that notifies (`notifications.ts`). */
export function areNotificationsFull(error: unknown): boolean {
  return (
    error instanceof postgres.PostgresError &&
    error.code === LIMIT &&
    error.routine === 'PreCommit_Notify'
  );
}

/** The fence's refusal: another epoch leads. */
export function isFenced(error: unknown): boolean {
  return sqlState(error) === 'MU001';
}

/** A session that is over. Everything it had not committed is undone by the server. */
export class SessionClosedError extends Error {
  override readonly name = 'SessionClosedError';
}

/** Committed, and not known to be where a failover would find it (`confirmed.ts`). */
export class NotConfirmedError extends Error {
  override readonly name = 'NotConfirmedError';

  constructor() {
    super('the wait for the synchronous standby was cancelled');
  }
}

/** The server's clock stepped while somebody went by it: what he would say is due or silent may be neither. */
export class ClockStepError extends Error {
  override readonly name = 'ClockStepError';
  /** By how much; below 0: back. */
  readonly seconds: number;

  constructor(seconds: number) {
    super(`the database's clock stepped by ${String(seconds)} s; let NTP keep it on its machine`);
    this.seconds = seconds;
  }
}

/** Classes of SQLSTATE that a statement is not to blame for: connection, resources, shutdown, contention; and 54000, but for values. */
const PASSING = ['08', '25', '40', '53', '55', '57', '58'];

/** TLS does not believe the server: another file or certificate mends it, and time does not. */
const DISTRUST: ReadonlyMap<string, string> = new Map([
  ...[
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'UNABLE_TO_GET_ISSUER_CERT',
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    'SELF_SIGNED_CERT_IN_CHAIN',
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'CERT_SIGNATURE_FAILURE',
  ].map(
    (code) =>
      [
        code,
        "no authority in sslrootcert of the database's URL (without it: none that the system trusts) issued the server's certificate; name the file of the one that did",
      ] as const,
  ),
  [
    'ERR_TLS_CERT_ALTNAME_INVALID',
    "the server's certificate names another host; give the host of the database's URL as the certificate has it",
  ],
  ['CERT_HAS_EXPIRED', "the server's certificate has expired; renew it, or look at this clock"],
]);

function isDistrust(error: unknown): boolean {
  return error instanceof Error && DISTRUST.has(socketCode(error) ?? '');
}

/** Sockets and the driver name their troubles (`ECONNREFUSED`, `CONNECTION_CLOSED`); `ERR_` is misuse. */
function isConnectionTrouble(error: unknown): boolean {
  if (error instanceof DeadlineError || error instanceof SessionClosedError) return true;
  const code = error instanceof Error ? socketCode(error) : null;
  return code !== null && (!code.startsWith('ERR_') || DISTRUST.has(code));
}

function isOfNow(error: unknown): boolean {
  return error instanceof NotConfirmedError || error instanceof ClockStepError;
}

/** What time mends. A fault in our own code is not: called passing, it would hide behind 503 for ever. */
export function isPassing(error: unknown): boolean {
  const state = sqlState(error);
  if (state === null) return isOfNow(error) || isConnectionTrouble(error);
  if (isReadOnly(error)) return true;
  return state === LIMIT ? !isDataError(error) : PASSING.some((kind) => state.startsWith(kind));
}

/** Cannot be reached, or starts or stops just now: the next attempt may find it. */
export function isAway(error: unknown): boolean {
  const state = sqlState(error);
  return state === null
    ? isConnectionTrouble(error) && !isDistrust(error)
    : state.startsWith('08') || state.startsWith('57P');
}

/** The server let this login not in, or not do it. */
export function isDenied(error: unknown): boolean {
  const state = sqlState(error);
  return state !== null && (state === '42501' || state.startsWith('28'));
}

/** The server answered, and no writer can work there: no such database, read only, or no connection left. */
export function isUnusable(error: unknown): boolean {
  const state = sqlState(error);
  return isReadOnly(error) || state === '3D000' || state?.startsWith('53') === true;
}

const READ_ONLY = '25006';

/** Where the server finds that it is a standby, of all that say 0A000. */
const READS_RELATION = 'get_relation_info';

/**
 * The session takes no writes: its server is a standby, or it began under a setting. That may be over for sessions that begin
 * now, and is never for this one. A standby also refuses to read tables that are not logged, in words of its own.
 */
export function isReadOnly(error: unknown): boolean {
  if (!(error instanceof postgres.PostgresError)) return false;
  return error.code === READ_ONLY || (error.code === '0A000' && error.routine === READS_RELATION);
}

/** No further connection is to be had, of the server, the database or the login; those that are open work on. */
export function isOutOfConnections(error: unknown): boolean {
  return sqlState(error) === '53300';
}

/** Somebody else's lock was in the way, and the statement gave up or was chosen to: the next attempt may get it. */
export function isContended(error: unknown): boolean {
  return ['55P03', '40P01'].includes(sqlState(error) ?? '');
}

/** The schema lacks what a statement names, or hides it from this login: `standing.ts` can say which. */
export function isOfSchema(error: unknown): boolean {
  const state = sqlState(error);
  return state !== null && (['42P01', '42703', '42883'].includes(state) || state.startsWith('3F'));
}

/** What whoever runs us can do about it, by SQLSTATE (its class where the class is enough) or socket error. */
const ADVICE: ReadonlyMap<string, string> = new Map([
  ['42P01', 'the schema lacks Muster\'s tables; run "muster migrate" on it'],
  ['42703', 'the schema lacks a column of Muster\'s; run "muster migrate" on it'],
  [
    '42883',
    'the schema lacks Muster\'s functions; run "muster migrate" on it, or "muster doctor" where that finds nothing to do',
  ],
  ['3F000', 'the schema is not there; run "muster migrate"'],
  ['3D000', 'create the database, or correct its name in MUSTER_DATABASE_URL'],
  [
    '25006',
    'it is a standby, or read only by a setting ("muster doctor" tells which): give the URL of the primary, or reset default_transaction_read_only',
  ],
  ['28', 'check user and password in MUSTER_DATABASE_URL, and pg_hba.conf'],
  [
    '42501',
    'the login lacks a right, which "muster doctor" names; use one whose role has it (docs/database-roles.md). One that may not even connect needs CONNECT on the database',
  ],
  [
    '55P03',
    'another session or a prepared transaction holds the table; end it (pg_locks names it, and pg_prepared_xacts what is prepared), or wait',
  ],
  [
    '57014',
    'it took longer than a statement may, or somebody cancelled it; "muster doctor" tells what commits wait for, and lists transactions that stay open',
  ],
  [
    '53300',
    'no connection is left: raise max_connections or the CONNECTION LIMIT of the login or the database ("muster doctor" tells which), or run fewer processes',
  ],
  [
    '53100',
    'a disk of the server is full: free or add space where its data and its log of writes (pg_wal) are; a replication slot that nobody reads keeps the latter (pg_replication_slots)',
  ],
  [
    '53200',
    'its memory is full. Where it is the shared memory, so is the table of locks, which any login can fill: end the session that has most rows in pg_locks, or raise max_locks_per_transaction',
  ],
  [
    '22P05',
    "the database's encoding lacks a character; make another with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0",
  ],
  ['ECONNREFUSED', 'nothing listens there; start PostgreSQL, or correct MUSTER_DATABASE_URL'],
  ['ENOENT', 'no server has its socket there; start PostgreSQL, or correct MUSTER_DATABASE_URL'],
  ['ENOTFOUND', 'there is no such host; correct MUSTER_DATABASE_URL'],
  ['08P01', 'a pooler in between refuses our settings; give the URL of PostgreSQL itself'],
  ...DISTRUST,
  ['CONNECT_TIMEOUT', 'is the host of MUSTER_DATABASE_URL reachable from here?'],
]);

const NOTIFICATIONS =
  'a session that listens stays in a transaction, and their queue is full; "muster doctor" names the session';

const STANDBY = 'bring the standby back, or take it out of synchronous_standby_names';

/** By SQLSTATE, or its class. */
function found(texts: ReadonlyMap<string, string>, code: string | null): string | null {
  if (code === null) return null;
  return texts.get(code) ?? texts.get(code.slice(0, 2)) ?? null;
}

const UNFIT = 'the schema does not fit';
const REFUSED = 'the database refuses the login';
const FAILS = 'the database fails';

/** Whose URL is to be looked at. */
export type UrlVariable = 'MUSTER_DATABASE_URL' | 'MUSTER_LEADER_DATABASE_URL';

/** Which trouble it is, by SQLSTATE or its class; of a database that does not answer the error says so itself. */
const TROUBLES: ReadonlyMap<string, string> = new Map([
  ['42P01', UNFIT],
  ['42703', UNFIT],
  ['42883', UNFIT],
  ['3F000', UNFIT],
  ['28', REFUSED],
  ['3D000', REFUSED],
  ['42501', 'the database refuses a statement'],
  ['25006', 'the database takes no writes'],
]);

/**
 * For whoever may ask without saying who they are: which trouble, and what to do about it. No host, login or table is
 * named, as the server's and the driver's own words do: those are in the log.
 */
export function databaseTrouble(
  error: unknown,
  variable: UrlVariable = 'MUSTER_DATABASE_URL',
): string {
  const code = sqlState(error) ?? (error instanceof Error ? socketCode(error) : null);
  return advised(trouble(error, code), code, adviceFor(error, code, variable));
}

function trouble(error: unknown, code: string | null): string {
  if (isAway(error)) return 'the database does not answer';
  if (isDistrust(error)) return 'the database does not prove who it is';
  if (areNotificationsFull(error)) return 'the database takes no notifications';
  if (error instanceof NotConfirmedError)
    return 'the synchronous standby does not confirm what is written';
  if (isReadOnly(error)) return found(TROUBLES, READ_ONLY) ?? FAILS;
  return found(TROUBLES, code) ?? FAILS;
}

/** The same of what the server would say, did one ask. */
export function stateTrouble(
  state: string | null,
  variable: UrlVariable = 'MUSTER_DATABASE_URL',
): string {
  return advised(found(TROUBLES, state) ?? FAILS, state, adviceOn(state, variable));
}

function advised(which: string, code: string | null, advice: string | null): string {
  const named = code === null ? which : `${which} (${code})`;
  return advice === null ? named : `${named}: ${advice}`;
}

function adviceFor(error: unknown, code: string | null, variable: UrlVariable): string | null {
  if (areNotificationsFull(error)) return NOTIFICATIONS;
  if (error instanceof NotConfirmedError) return STANDBY;
  return adviceOn(isReadOnly(error) ? READ_ONLY : code, variable);
}

function adviceOn(code: string | null, variable: UrlVariable): string | null {
  return found(ADVICE, code)?.replaceAll('MUSTER_DATABASE_URL', variable) ?? null;
}

function socketCode(error: Error): string | null {
  return 'code' in error && typeof error.code === 'string' ? error.code : null;
}

/** What the driver and TLS say of a connection that did not come about is about their code. */
function socketProblem(error: Error): string {
  if (socketCode(error) === 'CONNECT_TIMEOUT') {
    const place = 'address' in error ? String(error.address) : 'the database';
    return `no connection to ${place} within ${String(CONNECT_TIMEOUT_SECS)} s`;
  }
  return error.message.startsWith('Client network socket disconnected')
    ? 'no connection: it ended before TLS was agreed on; has the PostgreSQL there `ssl = on`, and is it PostgreSQL?'
    : error.message;
}

/** The logins of docs/database-roles.md that may do what a command does. */
export type MayDo = 'asks' | 'reads the log' | 'leads' | 'migrates';

const WHO: Readonly<Record<MayDo, string>> = {
  asks: 'grant it to the login',
  'reads the log': "ask as a reader's login, the leader's or the owner's (docs/database-roles.md)",
  leads: "ask as the leader's login or the owner's (docs/database-roles.md)",
  migrates:
    "migrate as a login that owns the schema's tables or is in the role that does, or as a superuser (docs/database-roles.md); to connect at all takes CONNECT on the database",
};

/**
 * For a log line: never with SQL or parameters, which may hold what agents sent. Where a right is missing, `who` says which
 * logins have it; `variable` is where the URL was given.
 */
export function databaseProblem(
  error: unknown,
  {
    who,
    variable = 'MUSTER_DATABASE_URL',
  }: { readonly who?: MayDo | undefined; readonly variable?: UrlVariable | undefined } = {},
): string {
  if (error instanceof DeadlineError || error instanceof SessionClosedError) return error.message;
  if (!(error instanceof Error)) return String(error);
  const state = sqlState(error);
  const said = state === null ? socketProblem(error) : `${state}: ${error.message}`;
  const whom = state === '42501' && who !== undefined ? WHO[who] : null;
  const advice = whom ?? adviceFor(error, state ?? socketCode(error), variable);
  return advice === null ? said : `${said}: ${advice}`;
}
