/**
 * Work that gives way. An input may concern every host of the fleet (a new release, a promotion, a takeover),
 * and whoever reduces it shares a thread with things that must not wait: a leader's lock is pinged there.
 * So the long loops of the core pause between hosts, and the caller decides what a pause is for. Where it
 * pauses has no part in what is decided; a pause is only a place where nothing is half done.
 */

/** A computation in slices: each `next()` runs one. */
export type Sliced<T = void> = Generator<undefined, T, undefined>;

/** Hosts looked at between two pauses: about a millisecond, and small inputs never pause. */
export const SLICE_HOSTS = 128;

/** Runs to the end without a pause. */
export function finish<T>(work: Sliced<T>): T {
  for (;;) {
    const slice = work.next();
    if (slice.done === true) return slice.value;
  }
}

/** A list, by what is looked at between two pauses. */
export function* parts<T>(items: readonly T[]): Iterable<readonly T[]> {
  for (let at = 0; at < items.length; at += SLICE_HOSTS) yield items.slice(at, at + SLICE_HOSTS);
}
