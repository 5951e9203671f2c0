/**
 * Natural batching: while one statement is in flight the next callers gather, then go together. An idle
 * caller goes at once; no timer adds latency. One statement at a time also means that a server notice
 * belongs to it for certain.
 *
 * Failure behaviour: a batch that the server refuses for its data is halved until only the offender fails;
 * any other error fails the whole batch, whose outcome is then unknown to its callers. A database that gave
 * no answer at all also fails those who gathered meanwhile: another deadline, and their callers, who wait 10 s,
 * would be gone without having been told.
 */
import { DeadlineError } from '../db/deadline.ts';
import { isDataError } from '../db/errors.ts';

export interface Gatherer<In, Out> {
  add(item: In): Promise<Out>;
  /** Items not yet answered, and their size. */
  readonly held: number;
  readonly heldSize: number;
  /** Resolves when nothing is held. */
  idle(): Promise<void>;
}

interface Waiting<In, Out> {
  readonly item: In;
  readonly resolve: (out: Out) => void;
  readonly reject: (error: unknown) => void;
}

export interface GatherLimits<In> {
  /** Items in one statement. */
  readonly items: number;
  /** Their size together; a single item may be larger. */
  readonly size: number;
  sizeOf(item: In): number;
}

/** `write` answers one result per item, in order. */
export function createGatherer<In, Out>(
  limits: GatherLimits<In>,
  write: (items: readonly In[]) => Promise<readonly Out[]>,
): Gatherer<In, Out> {
  const gathered: Waiting<In, Out>[] = [];
  let inFlight = 0;
  let heldSize = 0;
  const idlers: (() => void)[] = [];

  const send = async (batch: readonly Waiting<In, Out>[]): Promise<void> => {
    try {
      const results = await write(batch.map((waiting) => waiting.item));
      batch.forEach((waiting, index) => {
        const out = results[index];
        if (out === undefined) waiting.reject(new Error('fewer results than items'));
        else waiting.resolve(out);
      });
    } catch (error) {
      if (batch.length > 1 && isDataError(error)) {
        const middle = Math.ceil(batch.length / 2);
        await send(batch.slice(0, middle));
        await send(batch.slice(middle));
      } else reject(error instanceof DeadlineError ? [...batch, ...takeGathered()] : batch, error);
    }
  };
  const reject = (refused: readonly Waiting<In, Out>[], error: unknown): void => {
    for (const waiting of refused) waiting.reject(error);
  };
  const takeGathered = (): readonly Waiting<In, Out>[] => {
    const taken = gathered.splice(0);
    heldSize -= sizeOf(taken);
    return taken;
  };
  const sizeOf = (batch: readonly Waiting<In, Out>[]): number =>
    batch.reduce((sum, { item }) => sum + limits.sizeOf(item), 0);
  const drain = async (): Promise<void> => {
    while (gathered.length > 0) {
      const batch = gathered.splice(0, fitting(gathered, limits));
      inFlight = batch.length;
      await send(batch);
      inFlight = 0;
      heldSize -= sizeOf(batch);
    }
    running = false;
    for (const resolve of idlers.splice(0)) resolve();
  };
  let running = false;
  return {
    get held() {
      return gathered.length + inFlight;
    },
    get heldSize() {
      return heldSize;
    },
    add: (item) =>
      new Promise((resolve, reject) => {
        gathered.push({ item, resolve, reject });
        heldSize += limits.sizeOf(item);
        if (running) return;
        running = true;
        // After this turn of the loop: requests that arrived in one read of the sockets go together.
        setImmediate(() => void drain());
      }),
    idle: () => (running ? new Promise((resolve) => idlers.push(resolve)) : Promise.resolve()),
  };
}

/** How many of the first may go together; at least one. */
function fitting<In, Out>(gathered: readonly Waiting<In, Out>[], limits: GatherLimits<In>): number {
  let size = 0;
  let count = 0;
  for (const { item } of gathered) {
    size += limits.sizeOf(item);
    if (count > 0 && (count >= limits.items || size > limits.size)) break;
    count += 1;
  }
  return count;
}
