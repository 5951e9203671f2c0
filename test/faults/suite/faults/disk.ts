/** The disk of the database is full, and then is not. */
import { setTimeout as delay } from 'node:timers/promises';
import { Bench, type BenchOptions } from '../bench/bench.ts';
import { cannotMount, mountSmallDisk, type SmallDisk } from '../bench/small-disk.ts';
import type { Fault } from '../fault.ts';
import { count } from '../load/history.ts';

/** A new cluster takes some 60 MB, two WAL segments included; a few seconds of load some megabytes. */
const DISK_MB = 256;
const WAL = { min_wal_size: '32MB', max_wal_size: '64MB' };
/** So many answers that were no 2xx show that the server really had no room. */
const REFUSED = 100;
const FULL_WITHIN_MS = 60_000;

const disks = new WeakMap<Bench, SmallDisk>();

async function start(options: BenchOptions): Promise<Bench> {
  const disk = mountSmallDisk(DISK_MB);
  const onClosed = (): void => {
    disk.close();
  };
  const bench = await Bench.start({ ...options, onClosed, postgres: WAL, postgresDir: disk.dir });
  disks.set(bench, disk);
  return bench;
}

async function fill(bench: Bench): Promise<void> {
  const disk = disks.get(bench);
  if (disk === undefined) throw new Error('this bench lies on an ordinary disk');
  const { history } = bench.load;
  const first = history.attempts.length;
  const state = { gone: false };
  void bench.database.exited.then(() => (state.gone = true));
  disk.fill();
  const until = performance.now() + FULL_WITHIN_MS;
  for (;;) {
    const { failed, unknown } = count(history.attempts.slice(first));
    if (failed + unknown >= REFUSED) break;
    if (performance.now() > until) throw new Error('the full disk was not noticed');
    disk.fill(); // whatever the server has given back
    await delay(50);
  }
  disk.empty();
  // A server that cannot write its WAL ends itself; whoever runs it starts it again.
  await delay(1_000);
  if (state.gone) await bench.database.startAgain();
  bench.notes.push(state.gone ? 'PostgreSQL ended itself' : 'PostgreSQL refused statements');
}

export const DISK: readonly Fault[] = [
  {
    name: 'disk-full',
    what: "the database's disk is full until a hundred requests have failed",
    cannot: cannotMount,
    start,
    run: fill,
  },
];
