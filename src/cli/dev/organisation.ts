/**
 * `muster dev --tls`: what an organisation has around its fleet. An authority for hosts and one for operators, the
 * root key whose tokens let hosts in, one operator, and the two signed lists of a release. Kept from run to run: a
 * host that has a certificate is given no token, as in the field.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { systemClock } from '../../agent/clock.ts';
import { loadIdentity, pendingRequest } from '../../agent/credentials.ts';
import type { FleetCertificates } from '../../agent/simulated-fleet.ts';
import { createAuthority, type NewPair } from '../../ca/create.ts';
import { createOperatorCertificate, createServerCertificate } from '../../ca/leaf.ts';
import type { Json, JsonObject } from '../../trust/json.ts';
import { generateKey, loadSigningKey, type SigningKey } from '../../trust/sign.ts';
import { isJsonObject } from '../../wire/text.ts';
import { bootstrapToken } from '../bootstrap-token.ts';

export interface Organisation {
  /** Settings of each `muster serve`. */
  readonly settings: Readonly<Record<string, string | number | boolean>>;
  /** The control plane's certificate, which clients trust. */
  readonly serverFile: string;
  /** A folder for each host, with its token and its certificate. */
  readonly credentials: string;
  /** Holds `muster/config.json` with a profile of the operator. */
  readonly clientHome: string;
  /** Files of the source beside the release. */
  readonly lists: Map<string, JsonObject>;
}

const YEARS_MS = 10 * 365 * 86_400_000;
/** Clocks differ; and it is one machine. */
const HOUR_MS = 3_600_000;

/** `names`: of the control plane, beside localhost. */
export async function developmentOrganisation(
  dataDir: string,
  trustFile: string,
  hosts: readonly string[],
  names: readonly string[] = [],
): Promise<Organisation> {
  const dir = path.join(dataDir, 'tls');
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const from = new Date(Date.now() - HOUR_MS);
  const until = new Date(Date.now() + YEARS_MS);
  const fleet = await kept(dir, 'fleet-ca', () => createAuthority('fleet', from, until));
  const operators = await kept(dir, 'operator-ca', () => createAuthority('operators', from, until));
  const server = await kept(dir, 'server', () => createServerCertificate(from, until, names));
  await kept(dir, 'dev', () =>
    createOperatorCertificate(operators.pair, 'dev', 'admin', from, until),
  );
  const root = rootKey(dir, trustFile);
  const credentials = path.join(dir, 'hosts');
  const clientHome = path.join(dir, 'client');
  return {
    settings: {
      'tls-cert-file': server.cert,
      'tls-key-file': server.key,
      'client-ca-file': fleet.cert,
      'operator-ca-file': operators.cert,
      'ca-cert-file': fleet.cert,
      'ca-key-file': fleet.key,
      // The database of a trial has one login, and its authority's key is a file.
      strict: false,
    },
    ...{ serverFile: server.cert, credentials, clientHome },
    lists: new Map<string, JsonObject>([
      [
        'bootstrap-nonces.json',
        { schemaVersion: 1, nonces: await letIn(credentials, hosts, root) },
      ],
      ['revocations.json', { schemaVersion: 1, revocations: [] }],
    ]),
  };
}

/** A profile by which `muster` reaches this installation as the operator. */
export function writeProfile({ clientHome }: Organisation, url: string): void {
  const dir = path.join(clientHome, 'muster');
  mkdirSync(dir, { recursive: true });
  const at = (name: string) => path.join('..', '..', name);
  const dev = { url, caFile: at('server.crt'), certFile: at('dev.crt'), keyFile: at('dev.key') };
  const config = { default: 'dev', profiles: { dev } };
  writeFileSync(path.join(dir, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
}

/** How the hosts of a simulated fleet prove who they are. */
export function fleetCertificates({
  serverFile,
  credentials,
}: Pick<Organisation, 'serverFile' | 'credentials'>): FleetCertificates {
  return {
    ca: readFileSync(serverFile, 'utf8'),
    credentialsOf: (hostname) => {
      const dir = path.join(credentials, hostname);
      return { dir, name: hostname, token: tokenIn(dir) };
    },
  };
}

/** Null where a host has none. */
function tokenIn(dir: string): unknown {
  const file = path.join(dir, TOKEN);
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : null;
}

const TOKEN = 'token.json';

interface Kept {
  readonly cert: string;
  readonly key: string;
  readonly pair: NewPair;
}

async function kept(dir: string, name: string, make: () => Promise<NewPair>): Promise<Kept> {
  const [cert, key] = [path.join(dir, `${name}.crt`), path.join(dir, `${name}.key`)];
  if (!existsSync(cert)) {
    const pair = await make();
    writeFileSync(key, pair.keyPem, { mode: 0o600 });
    writeFileSync(cert, pair.certPem);
  }
  const pair = { certPem: readFileSync(cert, 'utf8'), keyPem: readFileSync(key, 'utf8') };
  return { cert, key, pair };
}

/** The trust file is written anew at each start, by the release key alone. */
function rootKey(dir: string, trustFile: string): SigningKey {
  const file = path.join(dir, 'org-root.pem');
  if (!existsSync(file)) writeFileSync(file, generateKey('ed25519').pem, { mode: 0o600 });
  const key = loadSigningKey(readFileSync(file));
  const trust: unknown = JSON.parse(readFileSync(trustFile, 'utf8'));
  const orgRootKey = { current: { algorithm: key.algorithm, public: key.public } };
  writeFileSync(trustFile, JSON.stringify({ ...(isJsonObject(trust) ? trust : {}), orgRootKey }));
  return key;
}

/** A token into the folder of each host that has no certificate; the entries of the list that let it in. */
async function letIn(
  credentials: string,
  hosts: readonly string[],
  root: SigningKey,
): Promise<Json[]> {
  const entries: Json[] = [];
  for (const hostname of hosts) {
    const dir = path.join(credentials, hostname);
    if ((await loadIdentity({ dir, clock: systemClock })) !== null) continue;
    const { keyFingerprint } = await pendingRequest({ dir, name: hostname });
    const wanted = { hostname, keyFingerprint, lifetimeMs: HOUR_MS };
    const { token, entry } = bootstrapToken(wanted, root);
    writeFileSync(path.join(dir, TOKEN), JSON.stringify(token));
    entries.push(entry);
  }
  return entries;
}
