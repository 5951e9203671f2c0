/**
 * `npm run bench -- reads`: what operators read, of a fleet of 100,000 hosts in one rollout, over HTTP: a first
 * page, one from the middle, filtered ones, and the answers that need the whole state. One caller, one at a
 * time: this is about a page's latency, which must not grow with the fleet.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { startInstallation, type Installation } from './installation.ts';
import { machine } from './machine.ts';
import { percentiles } from './numbers.ts';
import type { BenchOptions } from './options.ts';

const HOSTS = 100_000;
/** Of each read, in a round. */
const CALLS = 10;
const OPENED_WITHIN_MS = 120_000;
/** Some of everything, so that filters find what is rare as well as what is common. */
const SHARES = [
  ['Converged', 70],
  ['Soaking', 20],
  ['Failed', 1],
] as const;

interface Read {
  readonly name: string;
  readonly path: string;
}

function readsOf(rolloutId: string, middle: string): readonly Read[] {
  const rollout = `/v1/rollouts/${rolloutId}`;
  const hostCursor = encodeURIComponent(middle);
  return [
    { name: 'hosts, first page', path: '/v1/hosts' },
    { name: 'hosts, middle page', path: `/v1/hosts?cursor=${hostCursor}` },
    { name: 'hosts in a rare state', path: '/v1/hosts?state=Failed' },
    { name: 'hosts by prefix', path: '/v1/hosts?prefix=host-09999' },
    { name: 'rollouts with every host', path: '/v1/rollouts' },
    { name: 'rollouts', path: '/v1/rollouts?hosts=false' },
    { name: 'lifecycle of the rollout', path: `${rollout}/lifecycle` },
    { name: 'hosts of the rollout, first page', path: `${rollout}/hosts?all=true` },
    {
      name: 'hosts of the rollout in a rare state',
      path: `${rollout}/hosts?all=true&state=Failed`,
    },
    { name: 'events of the rollout', path: `${rollout}/events` },
    { name: 'fleet', path: '/v1/fleet' },
    { name: 'log, newest page', path: '/v1/events?last=200' },
    { name: 'quarantines', path: '/v1/quarantines' },
    { name: 'a host, and why it is held', path: `/v1/hosts/${middle}` },
    { name: 'blockers of the rollout', path: `${rollout}/blockers` },
    { name: 'plan of the rollout', path: `${rollout}/plan` },
  ];
}

interface Measured {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly kilobytes: number;
}

export async function benchReads({ json, rounds }: BenchOptions): Promise<void> {
  const hosts = Array.from({ length: HOSTS }, (_, i) => `host-${String(i).padStart(6, '0')}`);
  const place = await startInstallation({ hosts });
  try {
    const rolloutId = await opened(place);
    await spread(place, rolloutId);
    const reads = readsOf(rolloutId, hosts[HOSTS / 2] ?? '');
    const found = await measureAll(place, reads, rounds);
    const report = { machine: machine(place.postgres.version), rounds, hosts: HOSTS, reads: found };
    if (json) console.log(JSON.stringify(report));
    else print(found);
  } finally {
    await place.close();
  }
}

async function opened({ sql }: Installation): Promise<string> {
  const until = Date.now() + OPENED_WITHIN_MS;
  for (;;) {
    const [row] = await sql<{ id: string }[]>`SELECT rollout_id AS id FROM rollout LIMIT 1`;
    if (row !== undefined) return row.id;
    if (Date.now() > until) throw new Error('no rollout was opened in time');
    await delay(100);
  }
}

/** Puts hosts into states by hand, behind the leader's back: what is measured here only reads. */
async function spread({ sql }: Installation, rolloutId: string): Promise<void> {
  let upTo = 0;
  for (const [state, share] of SHARES) {
    const from = upTo;
    upTo += share;
    await sql`
      UPDATE host_rollout SET state = ${state}, dispatched_at = '2026-05-16T01:27:01.000Z'
      WHERE rollout_id = ${rolloutId}
        AND (right(hostname, 6)::int * 7919) % 100 >= ${from}
        AND (right(hostname, 6)::int * 7919) % 100 < ${upTo}`;
  }
  await sql`ANALYZE`;
}

async function measureAll(
  place: Installation,
  reads: readonly Read[],
  rounds: number,
): Promise<Record<string, Measured>> {
  const times = new Map<string, number[]>();
  const sizes = new Map<string, number>();
  for (let round = 0; round < rounds; round += 1) {
    for (const { name, path } of reads) {
      const seen = times.get(name) ?? [];
      times.set(name, seen);
      // The first of each round finds what the others left of the caches; it is not counted.
      sizes.set(name, (await call(place, path)).bytes);
      for (let i = 0; i < CALLS; i += 1) seen.push((await call(place, path)).ms);
    }
  }
  return Object.fromEntries(
    reads.map(({ name }) => {
      const { p50, p99, max } = percentiles(Float64Array.from(times.get(name) ?? []));
      return [name, { p50, p99, max, kilobytes: Math.round((sizes.get(name) ?? 0) / 1024) }];
    }),
  );
}

async function call(
  { ports }: Installation,
  path: string,
): Promise<{ readonly ms: number; readonly bytes: number }> {
  const started = performance.now();
  const response = await fetch(`http://127.0.0.1:${String(ports[0] ?? 0)}${path}`, {
    headers: { 'x-muster-dev-identity': 'operator:bench' },
  });
  const body = await response.arrayBuffer();
  if (!response.ok) throw new Error(`${path}: ${String(response.status)}`);
  return { ms: performance.now() - started, bytes: body.byteLength };
}

function print(found: Readonly<Record<string, Measured>>): void {
  for (const [name, { p50, p99, max, kilobytes }] of Object.entries(found)) {
    console.log(
      `${name.padEnd(38)} p50 ${String(p50).padStart(6)} ms  p99 ${String(p99).padStart(6)} ms  ` +
        `max ${String(max).padStart(6)} ms  ${String(kilobytes).padStart(6)} kB`,
    );
  }
}
