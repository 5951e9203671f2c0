/**
 * Strict mode: what production must not be without. On unless it is switched off or the process is for
 * development; everything that is missing is said at once, each with what to do. It is about this installation
 * only: no agent is refused for anything it sends, or does not send, because of it.
 */
import type { Config } from '../config.ts';

/** What it looks at. */
type Looked = Pick<
  Config,
  | 'strict'
  | 'devIdentity'
  | 'roles'
  | 'tlsCertFile'
  | 'clientCaFile'
  | 'databaseUrl'
  | 'leaderDatabaseUrl'
  | 'caKeyFile'
  | 'caKeyFileAllowed'
>;

/** Development identities work on loopback only, and nothing else of production is asked there. */
export function isStrict({ strict, devIdentity }: Pick<Config, 'strict' | 'devIdentity'>): boolean {
  return strict && !devIdentity;
}

type Demand = readonly [lacks: (config: Looked) => boolean, problem: string];

const serves = ({ roles }: Looked): boolean => roles.includes('api');
const writes = ({ roles }: Looked): boolean =>
  roles.includes('leader') || roles.includes('workers');

const DEMANDS: readonly Demand[] = [
  [
    (c) => serves(c) && c.tlsCertFile === null,
    'agents and tokens would cross the network in the clear: set MUSTER_TLS_CERT_FILE and MUSTER_TLS_KEY_FILE',
  ],
  [
    (c) => serves(c) && c.clientCaFile === null,
    'no agent could prove which host it is: set MUSTER_CLIENT_CA_FILE to the authority that issues their certificates',
  ],
  [
    (c) => c.caKeyFile !== null && !c.caKeyFileAllowed,
    'whoever reads MUSTER_CA_KEY_FILE can be any host: set MUSTER_CA_SIGN_COMMAND to what signs with a TPM, HSM or KMS, or MUSTER_CA_KEY_FILE_ALLOWED=true',
  ],
  [
    (c) => serves(c) && writes(c) && !isApart(c),
    'the API could write the event log: give the leader and the workers a login of their own, MUSTER_LEADER_DATABASE_URL (docs/database-roles.md), or run the API by itself',
  ],
  [
    (c) => !isVerified(c.databaseUrl),
    'MUSTER_DATABASE_URL crosses the network without proof of who answers: add sslmode=verify-full, and sslrootcert=FILE for an authority of your own',
  ],
  [
    (c) => c.leaderDatabaseUrl !== null && !isVerified(c.leaderDatabaseUrl),
    'MUSTER_LEADER_DATABASE_URL crosses the network without proof of who answers: add sslmode=verify-full, and sslrootcert=FILE for an authority of your own',
  ],
];

/** Said last. */
export const OPTIONAL = 'strict mode asked for all of this; MUSTER_STRICT=false starts without it';

/** Each a sentence; none when the mode is off, or nothing is missing. */
export function strictProblems(config: Looked): readonly string[] {
  if (!isStrict(config)) return [];
  const missing = lacking(config);
  return missing.length === 0 ? [] : [...missing, OPTIONAL];
}

/** The same, whether anybody asks for it or not: said at start where nobody does. */
export function lacking(config: Looked): readonly string[] {
  return DEMANDS.filter(([lacks]) => lacks(config)).map(([, problem]) => problem);
}

function isApart({ databaseUrl, leaderDatabaseUrl }: Looked): boolean {
  const [api, leader] = [userOf(databaseUrl), userOf(leaderDatabaseUrl ?? '')];
  // A URL without a name leaves it to the environment, which gives both the same.
  return api !== '' && leader !== '' && api !== leader;
}

function userOf(url: string): string {
  return decoded(/^\w+:\/\/([^:@/?]*)(:[^@/?]*)?@/.exec(url)?.[1] ?? '');
}

/** Sockets and loopback need no proof: whoever could stand between is on this machine. */
const LOCAL = /^(localhost|127(\.\d{1,3}){3}|\[::1\]|\/.*)$/i;

function isVerified(url: string): boolean {
  const query = new URLSearchParams(url.split(/\?(.*)/s)[1] ?? '');
  if (query.get('sslmode') === 'verify-full' || query.get('sslrootcert') === 'system') return true;
  const [, authority = ''] = /^\w+:\/\/([^/?]*)/.exec(url) ?? [];
  // Read as the driver reads it: also behind percent signs, and from the first @ on.
  const host = decoded(authority.replace(/^[^@]*@/, ''));
  return LOCAL.test(host.replace(/:\d*$/, ''));
}

/** What cannot be decoded is no name that anybody trusts. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}
