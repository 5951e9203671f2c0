/**
 * What stands in the query of a database's URL besides TLS (`tls.ts`): settings of the server, which are asked of each
 * session unless they are ours. The driver (postgres 3.4.9) would let them outrank what Muster relies on: how it reads
 * values, how long a frozen leader keeps its lock, and the name by which it knows its own sessions.
 */

export interface UrlSettings {
  /** Without them. */
  readonly url: string;
  readonly settings: Readonly<Record<string, string>>;
}

/** What the driver reads there, and no server knows. */
const OF_TLS = new Set(['ssl', 'sslmode']);
/** Of clients: ours are said where a connection is made. */
const OF_CLIENTS = new Set([
  ...['connect_timeout', 'fallback_application_name'],
  ...['keepalives', 'keepalives_idle', 'keepalives_interval', 'keepalives_count'],
  ...['max', 'idle_timeout', 'max_lifetime', 'backoff', 'prepare', 'fetch_types', 'debug'],
  ...['keep_alive', 'max_pipeline', 'publications'],
]);

export function urlSettings(url: string): UrlSettings {
  const [base = '', query = ''] = url.split(/\?(.*)/s);
  const kept = new URLSearchParams();
  const settings: Record<string, string> = {};
  for (const [spelt, value] of new URLSearchParams(query)) {
    // To the server the names of settings are the same in every case.
    const name = spelt.toLowerCase();
    if (OF_TLS.has(name)) kept.set(name, value);
    else if (!OF_CLIENTS.has(name)) settings[name] = value;
  }
  const rest = kept.toString();
  return { url: rest === '' ? base : `${base}?${rest}`, settings };
}
