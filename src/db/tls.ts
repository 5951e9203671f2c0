/**
 * TLS to PostgreSQL, as the URL's `sslmode` and `sslrootcert` ask for it. The driver reads sslmode alone, hands
 * sslrootcert to the server, which refuses it, and checks the certificate of a server that is named by its address
 * against the name `localhost`: so what is to be verified is said here.
 */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import net from 'node:net';

export interface VerifiedTls {
  readonly rejectUnauthorized: true;
  /** PEM, as the file has it now; absent: the authorities that the system trusts. */
  readonly ca?: string;
  /** The address that the certificate must name. Of a server with a name the driver says that itself. */
  readonly host?: string;
}

export interface Target {
  /** Without what is said in `ssl`. */
  readonly url: string;
  /** Null: the driver does what sslmode says, which verifies nobody. */
  readonly ssl: VerifiedTls | null;
}

const VERIFYING = ['verify-full', 'verify-ca'];

/** Throws, naming the file, when sslrootcert is of no use. Both modes check the server's name too. */
export function tlsTarget(url: string): Target {
  const [base = '', query = ''] = url.split(/\?(.*)/s);
  const params = new URLSearchParams(query);
  const root = params.get('sslrootcert');
  params.delete('sslrootcert');
  const mode = params.get('sslmode');
  const verifies = root === 'system' || VERIFYING.includes(mode ?? '');
  if (verifies) params.delete('sslmode');
  const rest = params.toString();
  const target = rest === '' ? base : `${base}?${rest}`;
  if (!verifies) return { url: target, ssl: null };
  const host = hostOf(url);
  const place = net.isIP(host) === 0 ? {} : { host };
  const ssl = { rejectUnauthorized: true, ...place } as const;
  if (root === null || root === 'system') return { url: target, ssl };
  return { url: target, ssl: withRoot(ssl, root) };
}

/**
 * The driver asks for it with each connection, so that an authority which joins the file needs no restart. It could not
 * live with an error there: while the file is of no use, what it had last counts.
 */
function withRoot(ssl: VerifiedTls, file: string): VerifiedTls {
  let last = readRoot(file);
  return {
    ...ssl,
    get ca() {
      try {
        last = readRoot(file);
      } catch {
        // Half written, or being replaced.
      }
      return last;
    },
  };
}

function readRoot(file: string): string {
  try {
    const pem = readFileSync(file, 'utf8');
    // Throws where there is none: an empty file would stand for the authorities that the system trusts.
    new X509Certificate(pem).toString();
    return pem;
  } catch (error) {
    throw new Error(
      `cannot read sslrootcert ${file} of the database's URL: check the path, and that it holds certificates as PEM`,
      { cause: error },
    );
  }
}

/** Without port and brackets; a socket's folder is percent-encoded here. */
function hostOf(url: string): string {
  return authorityOf(url)
    .replace(/:\d*$/, '')
    .replace(/^\[(.*)\]$/, '$1');
}

function authorityOf(url: string): string {
  const [, authority = ''] = /^\w+:\/\/([^/?]*)/.exec(url) ?? [];
  return authority.replace(/^.*@/s, '');
}

/**
 * Where the driver (postgres 3.4.9) would not find the server by the URL: it takes an address of IPv6 apart at its first colon, and a
 * folder's percent signs as they are. Empty: it does.
 */
export function serverOf(url: string): {
  readonly host?: string[];
  readonly port?: number[];
  /** The socket. */
  readonly path?: string;
} {
  const [, port = '5432'] = /:(\d+)$/.exec(authorityOf(url)) ?? [];
  const host = decodeURIComponent(hostOf(url));
  if (host.startsWith('/')) return { path: `${host}/.s.PGSQL.${port}` };
  return net.isIPv6(host) ? { host: [host], port: [Number(port)] } : {};
}

/** The database that the URL names, which the driver would take with its percent signs; null: none, or what cannot be decoded. */
export function databaseOf(url: string): string | null {
  const [, name = ''] = /^\w+:\/\/[^/?]*\/([^?]*)/.exec(url) ?? [];
  try {
    return name === '' ? null : decodeURIComponent(name);
  } catch {
    return null;
  }
}

/** `db.example.net:5432`, for people; null for a socket in the file system, and where the URL names no host. */
export function placeOf(url: string): string | null {
  const place = authorityOf(url);
  if (place === '' || place.includes('%')) return null;
  return /:\d+$/.test(place) ? place : `${place}:5432`;
}
