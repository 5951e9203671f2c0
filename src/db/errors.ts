/** What a database error means to those who have to decide whether to retry, refuse or step down. */
import postgres from 'postgres';
import { DeadlineError } from './deadline.ts';

/** The SQLSTATE of a server's error, else null. */
export function sqlState(error: unknown): string | null {
  return error instanceof postgres.PostgresError ? error.code : null;
}

/** Class 22 (data exception) and 54 (too large): this statement's values can never be stored. */
export function isDataError(error: unknown): boolean {
  const state = sqlState(error);
  return state !== null && (state.startsWith('22') || state.startsWith('54'));
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

/** Classes of SQLSTATE that a statement is not to blame for: connection, resources, shutdown, contention. */
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

/** What time mends. A fault in our own code is not: called passing, it would hide behind 503 for ever. */
export function isPassing(error: unknown): boolean {
  const state = sqlState(error);
  if (state === null) return error instanceof NotConfirmedError || isConnectionTrouble(error);
  return PASSING.some((kind) => state.startsWith(kind));
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

/** Somebody else's lock was in the way, and the statement gave up or was chosen to: the next attempt may get it. */
export function isContended(error: unknown): boolean {
  return ['55P03', '40P01'].includes(sqlState(error) ?? '');
}

/** What whoever runs us can do about it, by SQLSTATE (its class where the class is enough) or socket error. */
const ADVICE: ReadonlyMap<string, string> = new Map([
  ['42P01', 'the schema lacks Muster\'s tables; run "muster migrate" on it'],
  ['42883', 'the schema lacks Muster\'s functions; run "muster migrate" on it'],
  ['3F000', 'the schema is not there; run "muster migrate"'],
  ['3D000', 'create the database, or correct its name in MUSTER_DATABASE_URL'],
  ['28', 'check user and password in MUSTER_DATABASE_URL, and pg_hba.conf'],
  ['42501', 'the login lacks a right; ask with a login whose role has it (docs/database-roles.md)'],
  ['55P03', 'another session holds the table; "muster doctor" lists transactions that stay open'],
  ['53300', 'PostgreSQL has no connection left; raise max_connections or run fewer processes'],
  ['ECONNREFUSED', 'nothing listens there; start PostgreSQL, or correct MUSTER_DATABASE_URL'],
  ['ENOTFOUND', 'there is no such host; correct MUSTER_DATABASE_URL'],
  ['08P01', 'a pooler in between refuses our settings; give the URL of PostgreSQL itself'],
  ...DISTRUST,
  ['CONNECT_TIMEOUT', 'no answer; is the host of MUSTER_DATABASE_URL reachable from here?'],
]);

function adviceFor(code: string | null): string | null {
  if (code === null) return null;
  return ADVICE.get(code) ?? ADVICE.get(code.slice(0, 2)) ?? null;
}

function socketCode(error: Error): string | null {
  return 'code' in error && typeof error.code === 'string' ? error.code : null;
}

/** For a log line: never with SQL or parameters, which may hold what agents sent. */
export function databaseProblem(error: unknown): string {
  if (error instanceof DeadlineError || error instanceof SessionClosedError) return error.message;
  if (!(error instanceof Error)) return String(error);
  const state = sqlState(error);
  const said = state === null ? error.message : `${state}: ${error.message}`;
  const advice = adviceFor(state ?? socketCode(error));
  return advice === null ? said : `${said}: ${advice}`;
}
