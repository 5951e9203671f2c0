/** The real workers of one process, over the model's tables: whoever holds their lock works. */
import { liveness, MISSED } from '../../src/workers/liveness.ts';
import { manifestPoll, type TrustFile } from '../../src/workers/manifest-poll.ts';
import type { Source } from '../../src/workers/source.ts';
import { tick } from '../../src/workers/tick.ts';
import { runTask, type WorkerContext } from '../../src/workers/worker.ts';
import { encodeInput } from '../../src/queue/enqueue.ts';
import { timeOf } from '../../src/reducer/time.ts';
import type { LockSession } from './database.ts';
import { NO_METRICS, SILENT_LOG, type Process } from './process.ts';
import { isAnyoneHeard, silentHosts } from './statements.ts';

const HEARTBEAT_MS = 60_000;
const TICK_MS = 15_000;
const MANIFESTS_MS = 20_000;
const RETRY_MS = 8_000;

export async function runWorkers(
  process: Process,
  source: Source,
  trustFile: TrustFile,
): Promise<never> {
  const { db } = process.world;
  for (;;) {
    const lock = await process
      .query(() => db.tryLock('workers', process.name))
      .catch(() => {
        db.breakLock('workers', process.name);
        return null;
      });
    if (lock === null) {
      await process.sleep(RETRY_MS * (0.5 + process.random()));
      continue;
    }
    await work(process, lock, source, trustFile);
    lock.held = false;
  }
}

async function work(
  process: Process,
  lock: LockSession,
  source: Source,
  trustFile: TrustFile,
): Promise<void> {
  const { db } = process.world;
  const over = new AbortController();
  const watch = (): void => {
    if (lock.held) process.clock.after(3_000, watch);
    else over.abort();
  };
  watch();
  const { clock, random } = process;
  const context: WorkerContext = {
    ...{ clock, random, log: SILENT_LOG, metrics: NO_METRICS },
    submit: async (input) => {
      await process.query(() => db.insert(encodeInput(input), process.name));
    },
  };
  const tasks = [
    manifestPoll(context, {
      shelf: {
        accepted: () => process.query(() => db.accepted()),
        toldOutcomes: () => process.query(() => db.toldOutcomes()),
        store: (artifacts) => process.query(() => db.store(artifacts)),
        rejectBefore: () => process.query(() => db.data.tables.fleet.rejectBefore),
      },
      ...{ source, trustFile, everyMs: MANIFESTS_MS },
    }),
    liveness(
      context,
      (silentMs, limit) => {
        const before = timeOf(clock.now() - silentMs);
        return process.query(() => silentHosts(db, before, limit));
      },
      HEARTBEAT_MS,
    ),
    tick(context, {
      isTickQueued: () => process.query(() => [...db.data.queue.values()].some(isTick)),
      isAnyoneHeard: () => {
        const since = timeOf(db.scheduler.now - MISSED * HEARTBEAT_MS);
        return process.query(() => isAnyoneHeard(db, since));
      },
      deafMs: MISSED * HEARTBEAT_MS,
      nextDue: () => process.query(() => db.data.nextDueAt),
      everyMs: TICK_MS,
      committed: (signal) => process.heard('out', signal),
    }),
  ];
  await Promise.all(tasks.map((task) => runTask(task, context, over.signal)));
}

function isTick({ kind }: { readonly kind: string }): boolean {
  return kind === 'Tick';
}
