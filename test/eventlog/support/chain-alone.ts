/** What the hash chain of a stored log costs by itself. */
import type { Pool } from '../../../src/db/pool.ts';
import { chainHash, GENESIS } from '../../../src/eventlog/chain.ts';
import { walkStored } from '../../../src/eventlog/stored.ts';

/** Milliseconds that hashing takes, without anything else. */
export async function chainAlone(pool: Pool): Promise<number> {
  let hash: Uint8Array = GENESIS;
  let ms = 0;
  for await (const page of walkStored((read) => pool.run(read), { after: 0, through: Infinity })) {
    const began = performance.now();
    for (const row of page) hash = chainHash(hash, row);
    ms += performance.now() - began;
  }
  return ms;
}
