/** graphile-worker: as it comes, or with everything that batches. Arguments: role, URL, variant. */
import { makeWorkerUtils, run } from 'graphile-worker';
import { BATCH, consume, done, effect, produce } from './harness.mjs';

const [role, connectionString, variant] = process.argv.slice(2);
const batched = variant === 'batched';
const logger = undefined;

if (role === 'producer') {
  const utils = await makeWorkerUtils({ connectionString, logger });
  const one = (payload) => utils.addJob('effect', payload);
  const many = (payloads) =>
    utils.addJobs(payloads.map((payload) => ({ identifier: 'effect', payload })));
  produce(batched, (jobs) => (jobs.length === 1 ? one(jobs[0]) : many(jobs)));
} else {
  await run({
    preset: {
      worker: {
        connectionString,
        // Single: as in its own performance test. Batched: fewer tasks than its local queue holds, or a fetch that
        // is handed out whole makes the queue wait for its next poll, two seconds.
        concurrentJobs: batched ? 500 : 24,
        maxPoolSize: batched ? 10 : 25,
        ...(batched
          ? { localQueue: { size: 1_000 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 }
          : {}),
      },
    },
    taskList: { effect: batched ? gathered() : single },
  });
  consume();
}

async function single(job, helpers) {
  await effect((text, values) => helpers.query(text, values), [job]);
  done([job]);
}

/** Tasks that run at once share an INSERT: what a user of it would do who wants batches. */
function gathered() {
  let waiting = [];
  let running = false;
  const drain = async (helpers) => {
    while (waiting.length > 0) {
      const batch = waiting.splice(0, BATCH);
      const jobs = batch.map(({ job }) => job);
      await effect((text, values) => helpers.query(text, values), jobs);
      done(jobs);
      for (const { resolve } of batch) resolve();
    }
    running = false;
  };
  return (job, helpers) =>
    new Promise((resolve) => {
      waiting.push({ job, resolve });
      if (running) return;
      running = true;
      setImmediate(() => void drain(helpers));
    });
}
