/**
 * The names of states as they cross the wire. The core has them as values too, but the wire takes only its
 * types; `satisfies` in both directions keeps the two lists the same.
 */
import type { HostState } from '../reducer/host/record.ts';

const NAMES = {
  Pending: 'Pending',
  Activating: 'Activating',
  Deferred: 'Deferred',
  Soaking: 'Soaking',
  Converged: 'Converged',
  Failed: 'Failed',
  Reverted: 'Reverted',
} as const satisfies { readonly [S in HostState]: S };

/** In the order a host goes through them. */
export const HOST_STATE_NAMES: readonly HostState[] = Object.values(NAMES);
