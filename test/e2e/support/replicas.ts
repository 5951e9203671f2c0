/** Real `muster serve` processes on a database of the test's own, behind the balancer of `muster dev`. */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import { startBalancer } from '../../../src/cli/dev/balancer.ts';
import type { Organisation } from '../../../src/cli/dev/organisation.ts';
import { createTestDatabase } from '../../support/database.ts';
import { startNode, type TestProcess } from '../../support/processes.ts';
import { isReady, terminate } from '../../support/serving.ts';
import { freePort } from '../../../src/cli/dev/free-port.ts';

export const SCHEMA = 'muster';

export interface Replica {
  readonly name: string;
  readonly process: TestProcess;
  /** What it has logged so far. */
  log(): string;
}

export interface Replicas {
  /** The balanced endpoint. */
  readonly url: string;
  readonly databaseUrl: string;
  readonly sql: postgres.Sql;
  readonly replicas: readonly Replica[];
  /** The replica that leads, and its epoch. */
  leader(): Promise<{ readonly replica: Replica; readonly epoch: number }>;
  /** Safe to call twice. */
  stop(): Promise<void>;
}

export interface ReplicaOptions {
  readonly source: string;
  readonly trustFile: string;
  /** More flags of `muster serve`. */
  readonly flags?: readonly string[];
  /** Of `muster dev --tls`; without it everyone says who they are, and is believed. */
  readonly organisation?: Organisation;
}

/** Two of them, ready to serve. Needs a build: `npm test` makes one. */
export async function startReplicas(options: ReplicaOptions): Promise<Replicas> {
  const database = await createTestDatabase();
  const ports = [await freePort(), await freePort()];
  const replicas = ports.map((port, i) => launch(`replica-${i + 1}`, port, database.url, options));
  const { organisation } = options;
  const ca = organisation === undefined ? undefined : readFileSync(organisation.serverFile, 'utf8');
  const balancer = await startBalancer(0, ports, ca ?? null);
  const sql = postgres(database.url, { max: 2, onnotice: () => undefined });
  await untilReady(ports, replicas, ca);
  // It looks at them by itself, four times a second: till it has, it cuts off whoever connects.
  while (!balancer.isReady()) await delay(20);
  const stop = async (): Promise<void> => {
    await Promise.all(replicas.map((replica) => terminate(replica.process)));
    await balancer.close();
    await sql.end();
  };
  let stopping: Promise<void> | null = null;
  return {
    url: `${ca === undefined ? 'http' : 'https'}://127.0.0.1:${balancer.port}`,
    databaseUrl: database.url,
    ...{ sql, replicas },
    leader: () => leaderOf(sql, replicas),
    stop: () => (stopping ??= stop()),
  };
}

function launch(name: string, port: number, databaseUrl: string, options: ReplicaOptions): Replica {
  const child = startNode(
    [
      ...['dist/cli/muster.js', 'serve', '--replica', name, '--listen-port', String(port)],
      ...['--roles', 'api,leader,workers', '--drain-delay-seconds', '0'],
      ...flagsOf(options.organisation?.settings ?? { 'dev-identity': true }),
      ...['--source', options.source, '--trust-file', options.trustFile, '--poll-seconds', '0.2'],
      ...(options.flags ?? []),
    ],
    { env: { MUSTER_DATABASE_URL: databaseUrl, MUSTER_SCHEMA: SCHEMA } },
  );
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data: Buffer) => {
      log += data.toString();
    });
  }
  return { name, process: child, log: () => log };
}

function flagsOf(settings: Organisation['settings']): string[] {
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
}

async function untilReady(
  ports: readonly number[],
  replicas: readonly Replica[],
  ca: string | undefined,
): Promise<void> {
  for (const [i, port] of ports.entries()) {
    while (!(await isReady(port, ca))) {
      const replica = replicas[i];
      if (replica?.process.exitCode != null) throw new Error(`serve ended:\n${replica.log()}`);
      await delay(50);
    }
  }
}

async function leaderOf(
  sql: postgres.Sql,
  replicas: readonly Replica[],
): Promise<{ readonly replica: Replica; readonly epoch: number }> {
  for (;;) {
    const [row] = await sql<{ holder: string; epoch: number }[]>`
      SELECT holder, epoch::int AS epoch FROM ${sql(`${SCHEMA}.epoch`)}`;
    const replica = replicas.find(({ name }) => name === row?.holder);
    if (row !== undefined && replica !== undefined) return { replica, epoch: row.epoch };
    await delay(20);
  }
}
