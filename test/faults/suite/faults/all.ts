/** Every fault of the suite, in the order of the run. */
import type { Fault } from '../fault.ts';
import { DATABASE } from './database.ts';
import { FREEZES } from './freeze.ts';
import { KILLS } from './kill.ts';
import { NEIGHBOURS } from './neighbours.ts';
import { NETWORK } from './network.ts';

export const FAULTS: readonly Fault[] = [
  ...KILLS,
  ...FREEZES,
  ...DATABASE,
  ...NETWORK,
  ...NEIGHBOURS,
];
