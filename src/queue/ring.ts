/**
 * The queue's table is a ring of slots: an id says in which one its row lies. Rows die within milliseconds, and where a
 * forgotten transaction keeps vacuum from removing them every claim would walk through all of them; so a drained slot
 * is truncated, which waits for no snapshot. Sizes and reasons: `migrations/0023_queue_ring.sql`.
 */
import type { Sql } from '../db/driver.ts';

export const SLOTS = 8;
const SLOT_IDS = 32_768;

/** No bit operators: ids outgrow 32 bits. */
export function slotOf(id: number): number {
  return Math.floor(id / SLOT_IDS) % SLOTS;
}

/** Ids by their slots: nearly always one. */
export function bySlot(ids: readonly number[]): ReadonlyMap<number, readonly number[]> {
  const slots = new Map<number, number[]>();
  for (const id of ids) {
    const slot = slotOf(id);
    const of = slots.get(slot);
    if (of === undefined) slots.set(slot, [id]);
    else of.push(id);
  }
  return slots;
}

export interface Rotated {
  /** Slots emptied: one, or none. */
  readonly emptied: number;
  /** Drained slots that somebody had a lock on. */
  readonly locked: number;
  /** Slots, beside the one being filled, that rows still wait in. */
  readonly waiting: number;
}

/** Empties one drained slot, if there is one worth it. Waits for nobody, and for its own commit alone keeps others waiting. */
export async function rotate(sql: Sql): Promise<Rotated> {
  const [row] = await sql<Rotated[]>`SELECT emptied, locked, waiting FROM input_queue_rotate()`;
  return row ?? { emptied: 0, locked: 0, waiting: 0 };
}
