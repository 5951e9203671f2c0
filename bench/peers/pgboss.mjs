/** pg-boss with LISTEN/NOTIFY: as it comes, or in batches of 1,000. Arguments: role, URL, variant. */
import { PgBoss } from 'pg-boss';
import { BATCH, consume, done, effect, produce } from './harness.mjs';

const [role, connectionString, variant] = process.argv.slice(2);
const batched = variant === 'batched';
const QUEUE = 'effect';

const boss = new PgBoss({
  connectionString,
  useListenNotify: true,
  schedule: false,
  // Of its own accord it gives up after 10 s without a free connection: where it does not keep up, its latency is to say so.
  connectionTimeoutMillis: 120_000,
});
boss.on('error', (error) => console.error(error));
await boss.start();
await boss.createQueue(QUEUE, { notify: true }).catch(() => undefined);

if (role === 'producer') {
  const one = (data) => boss.send(QUEUE, data);
  const many = (jobs) =>
    boss.insert(
      QUEUE,
      jobs.map((data) => ({ data })),
    );
  produce(batched, (jobs) => (jobs.length === 1 ? one(jobs[0]) : many(jobs)));
} else {
  const db = boss.getDb();
  const options = batched
    ? {
        batchSize: BATCH,
        burstWhenBatchFull: true,
        pollingIntervalSeconds: 0.5,
        notifyPollingIntervalSeconds: 0.5,
      }
    : { localConcurrency: 24, pollingIntervalSeconds: 0.5, notifyPollingIntervalSeconds: 0.5 };
  await boss.work(QUEUE, options, async (jobs) => {
    const payloads = jobs.map(({ data }) => data);
    await effect((text, values) => db.executeSql(text, values), payloads);
    done(payloads);
  });
  consume();
}
