/**
 * What producers and consumers of other queues have in common: they are told over IPC how many jobs to
 * enqueue and how fast, and the consumer says how long each job took from there to its committed effect.
 */

/** With the text of a job some 200 bytes. */
const FILLER = 'x'.repeat(150);
/** Callers at once, and jobs in one call, of a producer that does not and of one that does batch. */
const CALLERS = 64;
export const BATCH = 1_000;

// A benchmark that is stopped leaves nobody behind.
process.on('disconnect', () => process.exit());

export const now = () => performance.timeOrigin + performance.now();

/**
 * @param {boolean} batched
 * @param {(jobs: object[]) => Promise<unknown>} add
 */
export function produce(batched, add) {
  process.on('message', ({ jobs, perSecond }) => {
    const run =
      perSecond === null ? burst(batched, add, jobs) : paced(batched, add, jobs, perSecond);
    run.then(() => process.send({ done: true, latencies: [] }));
  });
  process.send({ done: true, latencies: [] });
}

async function burst(batched, add, jobs) {
  let left = jobs;
  const caller = async () => {
    while (left > 0) {
      const count = Math.min(left, batched ? BATCH : 1);
      left -= count;
      await add(Array.from({ length: count }, () => job(now())));
    }
  };
  // Two batches overlap: one is made while the other is stored.
  await Promise.all(Array.from({ length: batched ? 2 : CALLERS }, caller));
}

async function paced(batched, add, jobs, perSecond) {
  const began = performance.now();
  const adding = [];
  for (let made = 0; made < jobs;) {
    const due = Math.min(jobs, Math.floor(((performance.now() - began) / 1_000) * perSecond));
    // Who batches gathers what fell due at once, as Muster's producer does by itself.
    const together = batched ? Math.max(1, due - made) : 1;
    // Latency counts from when a job was due: a producer that stalls hides nothing.
    const dueAt = (n) => performance.timeOrigin + began + ((n + 1) / perSecond) * 1_000;
    for (; made < due; made += together)
      adding.push(add(Array.from({ length: together }, (_, i) => job(dueAt(made + i)))));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(adding);
}

function job(sentAt) {
  return { sentAt, filler: FILLER };
}

/** @type {number[]} */
let latencies = [];

/** Called when the effects of these jobs are committed. */
export function done(jobs) {
  const at = now();
  for (const { sentAt } of jobs) latencies.push(at - sentAt);
}

export function consume() {
  process.on('message', () => {
    process.send({ done: true, latencies });
    latencies = [];
  });
  process.send({ done: true, latencies: [] });
}

const EFFECT = 'INSERT INTO public.effect (payload) SELECT * FROM unnest($1::text[])';

/** The effects of several jobs by one statement. */
export function effect(query, jobs) {
  return query(EFFECT, [jobs.map((job) => JSON.stringify(job))]);
}
