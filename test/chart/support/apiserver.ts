/**
 * A kube-apiserver with its etcd, on loopback and for one test: it admits or refuses objects as a cluster does, and runs
 * none. Both are given as binaries (CONTRIBUTING.md says where from); nothing here downloads.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { freePort } from '../../../src/cli/dev/free-port.ts';
import type { Rendered } from './helm.ts';

export interface Binaries {
  readonly apiserver: string;
  readonly etcd: string;
}

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  /** Of admission, such as those of Pod Security, and of fields that go. */
  readonly warnings: readonly string[];
}

export interface ApiServer {
  readonly version: string;
  /** Creates it in the namespace, or, dry, does all of it but that. Null: the server has no such kind. */
  create(object: Rendered, options: { namespace: string; dry: boolean }): Promise<Answer | null>;
  stop(): Promise<void>;
}

/** From MUSTER_KUBE_APISERVER and MUSTER_ETCD; null where they are not set. */
export function binaries(): Binaries | null {
  const [apiserver, etcd] = [process.env['MUSTER_KUBE_APISERVER'], process.env['MUSTER_ETCD']];
  return apiserver === undefined || etcd === undefined ? null : { apiserver, etcd };
}

/** It makes its own certificate, and its tables in etcd: a minute on a busy machine. */
const START_MS = 90_000;

export async function startApiServer(
  dir: string,
  { apiserver, etcd }: Binaries,
): Promise<ApiServer> {
  const [client, peer, port] = [await freePort(), await freePort(), await freePort()];
  const at = (one: number): string => `http://127.0.0.1:${String(one)}`;
  const store = start(etcd, [
    ...[`--data-dir=${path.join(dir, 'etcd')}`, '--log-level=error'],
    ...[`--listen-client-urls=${at(client)}`, `--advertise-client-urls=${at(client)}`],
    ...[`--listen-peer-urls=${at(peer)}`, `--initial-advertise-peer-urls=${at(peer)}`],
    `--initial-cluster=default=${at(peer)}`,
  ]);
  const token = randomBytes(16).toString('hex');
  const server = start(apiserver, [
    ...[`--etcd-servers=${at(client)}`, `--cert-dir=${path.join(dir, 'certs')}`],
    ...['--bind-address=127.0.0.1', `--secure-port=${String(port)}`],
    ...['--service-cluster-ip-range=10.0.0.0/24', '--authorization-mode=RBAC'],
    `--token-auth-file=${write(dir, 'tokens.csv', `${token},admin,admin,system:masters\n`)}`,
    ...serviceAccounts(dir),
    // Nobody makes accounts here: that is a controller's.
    '--disable-admission-plugins=ServiceAccount',
  ]);
  const ask = clientOf(port, token);
  const stop = async (): Promise<void> => {
    await end(server);
    await end(store);
  };
  try {
    await untilReady(ask, server);
    const { body } = await ask('GET', '/version');
    const { gitVersion: version } = body as { gitVersion: string };
    return { version, create: (object, options) => create(ask, object, options), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function serviceAccounts(dir: string): string[] {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const key = write(dir, 'accounts.key', pem);
  return [
    `--service-account-key-file=${key}`,
    `--service-account-signing-key-file=${key}`,
    '--service-account-issuer=https://kubernetes.default.svc',
  ];
}

function write(dir: string, name: string, text: string): string {
  const file = path.join(dir, name);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

function start(file: string, args: readonly string[]): ChildProcess {
  return spawn(file, args, { stdio: 'ignore' });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

type Ask = (method: string, route: string, body?: object) => Promise<Answer>;

function clientOf(port: number, token: string): Ask {
  return (method, route, body) =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
      // Its certificate is its own, of a moment ago.
      const to = {
        host: '127.0.0.1',
        port,
        path: route,
        method,
        headers,
        rejectUnauthorized: false,
      };
      const request = https.request(to, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => (text += part));
        response.on('end', () => {
          const warnings = [response.headers.warning ?? []].flat();
          resolve({ status: response.statusCode ?? 0, body: parsed(text), warnings });
        });
      });
      request.on('error', reject);
      request.end(body === undefined ? undefined : JSON.stringify(body));
    });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

async function untilReady(ask: Ask, server: ChildProcess): Promise<void> {
  const until = Date.now() + START_MS;
  for (;;) {
    const answer = await ask('GET', '/readyz').catch(() => null);
    if (answer?.status === 200) return;
    if (server.exitCode !== null) throw new Error('the kube-apiserver ended: run it by hand');
    if (Date.now() > until) throw new Error(`not ready: ${JSON.stringify(answer?.body)}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

interface Resources {
  readonly resources?: readonly {
    readonly name: string;
    readonly kind: string;
    readonly namespaced: boolean;
  }[];
}

async function create(
  ask: Ask,
  object: Rendered,
  { namespace, dry }: { namespace: string; dry: boolean },
): Promise<Answer | null> {
  const group = `${object.apiVersion.includes('/') ? '/apis' : '/api'}/${object.apiVersion}`;
  const { resources = [] } = (await ask('GET', group)).body as Resources;
  const found = resources.find(({ kind, name }) => kind === object.kind && !name.includes('/'));
  if (found === undefined) return null;
  const within = found.namespaced ? `/namespaces/${namespace}` : '';
  const query = `?fieldValidation=Strict${dry ? '&dryRun=All' : ''}`;
  const metadata = { ...object.metadata, ...(found.namespaced ? { namespace } : {}) };
  return ask('POST', `${group}${within}/${found.name}${query}`, { ...object, metadata });
}
