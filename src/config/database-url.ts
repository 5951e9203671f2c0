/**
 * Can the driver read the database's URL, and does it read what was meant? A password with a special character that is
 * not percent-encoded ends the URL's host too early: the driver then throws an error that holds the URL, or asks a host
 * that is named after the login. Of several hosts it takes the next with each connection,
 * and looks for no primary. What is said here names the variable and never the URL.
 */

/** As the driver (postgres 3.4.9) takes it apart. */
export function isReadable(url: string): boolean {
  const [, authority = '', rest = ''] = /^\w+:\/\/([^/?#]*)(.*)$/s.exec(url) ?? [];
  const [login = '', hosts = login, ...more] = authority.split('@');
  // An @ in what seems to be a path or a query is the one after the password, unless a parameter holds it.
  if (more.length > 0 || (hosts === login && /^[^=]*@/s.test(rest))) return false;
  try {
    const host = decodeURIComponent(hosts);
    const { username, password } = new URL(url.replace(host, host.split(',')[0] ?? ''));
    // Throws where a percent sign stands for itself.
    decodeURIComponent(username + password);
    return true;
  } catch {
    return false;
  }
}

/** Of a readable one: might a connection end at another server than the one before it? */
export function leadsElsewhere(url: string): boolean {
  const [, authority = '', query = ''] = /^\w+:\/\/([^/?#]*)[^?]*\??(.*)$/s.exec(url) ?? [];
  const hosts = decodeURIComponent(authority.replace(/^[^@]*@/, ''));
  return hosts.includes(',') || new URLSearchParams(query).has('target_session_attrs');
}

/** Of libpq, and not ours: a server would refuse them as settings that it does not know, or they would mean nothing. */
const NOT_TAKEN: ReadonlySet<string> = new Set([
  ...['channel_binding', 'require_auth', 'passfile', 'service', 'sslnegotiation', 'sslcompression'],
  ...['sslcert', 'sslkey', 'sslpassword', 'sslcertmode', 'sslcrl', 'sslcrldir', 'sslsni'],
  ...['ssl_min_protocol_version', 'ssl_max_protocol_version', 'requirepeer', 'requiressl'],
  ...['gssencmode', 'krbsrvname', 'gsslib', 'gssdelegation', 'load_balance_hosts', 'replication'],
  ...['host', 'hostaddr', 'port', 'dbname', 'database', 'user', 'password'],
]);
const SSL_MODES: ReadonlySet<string> = new Set([
  ...['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'],
]);

/** Names of TLS are libpq's, and small letters. */
function isVain(name: string): boolean {
  const small = name.toLowerCase();
  return NOT_TAKEN.has(small) || (name !== small && /^ssl/.test(small));
}

/** Of a readable one: what its query asks for in vain; null: nothing. */
export function parameterProblem(variable: string, url: string): string | null {
  const query = new URLSearchParams(url.split(/\?(.*)/s)[1] ?? '');
  const vain = [...query.keys()].find(isVain);
  if (vain !== undefined)
    return `${variable} has the parameter ${vain}, which Muster does not take; leave it out (it takes sslmode, sslrootcert and settings of the server)`;
  const mode = query.get('sslmode');
  if (mode !== null && !SSL_MODES.has(mode))
    return `${variable} has an sslmode that there is not; it is one of ${[...SSL_MODES].join(', ')}`;
  return null;
}

export function elsewhere(variable: string): string {
  return `${variable} names several hosts or target_session_attrs, and sessions would end on standbys, too; give one name that always leads to the primary, such as that of its service or of HAProxy in TCP mode (docs/guides/install.md)`;
}

export function unreadable(variable: string): string {
  return `${variable} cannot be read as a URL; percent-encode what is special in its user and password: % is %25, / is %2F, ? is %3F, # is %23, @ is %40`;
}
