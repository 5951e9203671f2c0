/** A replica that speaks TLS, with an authority for each kind of caller and for itself. */
import 'reflect-metadata'; // before x509, which injects its parts by it
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { ExtendedKeyUsage } from '@peculiar/x509';
import { expect, vi } from 'vitest';
import { KeptMaterial, type CertificateFiles } from '../../../src/api/listen/files.ts';
import type { ApiDeps, CertificateOptions } from '../../../src/api/deps.ts';
import { systemClock } from '../../../src/telemetry.ts';
import {
  newAuthority,
  writePair,
  type Authority,
  type Identification,
  type Pair,
} from '../../support/certificates.ts';
import { silentLogger } from '../../support/installation.ts';
import { makeScratchDir } from '../../support/scratch.ts';
import {
  portOf,
  tlsClient,
  type TlsClient,
  type TlsClientOptions,
} from '../../support/tls-client.ts';
import { startReplica, type Replica } from './fakes.ts';

export const SUFFIX = '.agents.example.net';

export interface Pki {
  readonly fleet: Authority;
  readonly operators: Authority;
  /** Of the replica's own certificate. */
  readonly servers: Authority;
  readonly files: Record<'cert' | 'key' | 'fleetCa' | 'operatorCa', string>;
  agent(hostname: string): Promise<Pair>;
  operator(name: string, role?: string): Promise<Pair>;
  server(): Promise<Pair>;
}

export async function makePki(): Promise<Pki> {
  const [fleet, operators, servers] = await Promise.all([
    newAuthority('fleet'),
    newAuthority('operators'),
    newAuthority('servers'),
  ]);
  const dir = makeScratchDir('pki');
  const server = (): Promise<Pair> =>
    servers.issue({ cn: 'muster', ip: ['127.0.0.1'], usages: [ExtendedKeyUsage.serverAuth] });
  const fleetCa = path.join(dir, 'fleet-ca.pem');
  const operatorCa = path.join(dir, 'operator-ca.pem');
  writeFileSync(fleetCa, fleet.cert);
  writeFileSync(operatorCa, operators.cert);
  return {
    ...{ fleet, operators, servers, server },
    files: { ...writePair(dir, 'server', await server()), fleetCa, operatorCa },
    agent: (hostname) => fleet.issue({ cn: hostname, dns: [`${hostname}${SUFFIX}`] }),
    operator: (name, role) => operators.issue({ cn: name, ou: role === undefined ? [] : [role] }),
  };
}

export interface TlsReplica extends Replica {
  readonly port: number;
  readonly material: KeptMaterial;
  /** What the replica logged. */
  readonly lines: readonly string[];
  client(pair: Identification | null, options?: Partial<TlsClientOptions>): TlsClient;
}

export async function startTlsReplica(
  url: string,
  pki: Pki,
  limits: Partial<ApiDeps['limits']> = {},
  options: Partial<CertificateOptions> & { readonly files?: Partial<CertificateFiles> } = {},
  more: Partial<ApiDeps> = {},
): Promise<TlsReplica> {
  const lines: string[] = [];
  const files = { ...pki.files, proxyCa: null, proxySecret: null, ...options.files };
  const material = await KeptMaterial.open(files, {
    clock: systemClock,
    log: silentLogger(lines),
  });
  const certificates = { material, hostnameSuffix: SUFFIX, ...options };
  const replica = await startReplica(url, limits, certificates, more);
  await replica.api.listen('127.0.0.1', 0);
  const port = portOf(replica.api.app);
  const clients = new Set<TlsClient>();
  const nobody = tlsClient(port, { ca: pki.servers.cert });
  const isReady = async (): Promise<void> => {
    expect(await nobody.ask('/readyz')).toMatchObject({ status: 200 });
  };
  await vi.waitFor(isReady, { timeout: 15_000, interval: 20 });
  nobody.close();
  return {
    ...{ ...replica, port, material, lines },
    client(pair, more = {}) {
      const client = tlsClient(port, { ca: pki.servers.cert, pair, ...more });
      clients.add(client);
      return client;
    },
    async stop() {
      for (const client of clients) client.close();
      material.stop();
      await replica.stop();
    },
  };
}
