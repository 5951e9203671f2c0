/** Every fault of the suite, in the order of the run. */
import type { Fault } from '../fault.ts';
import { CLOCKS } from './clocks.ts';
import { COMMITS } from './commit.ts';
import { DATABASE } from './database.ts';
import { DISK } from './disk.ts';
import { FAILOVER } from './failover.ts';
import { FREEZES } from './freeze.ts';
import { KILLS } from './kill.ts';
import { MUTE } from './mute.ts';
import { NEIGHBOURS } from './neighbours.ts';
import { NETWORK } from './network.ts';

export const FAULTS: readonly Fault[] = [
  ...KILLS,
  ...COMMITS,
  ...FREEZES,
  ...DATABASE,
  ...NETWORK,
  ...NEIGHBOURS,
  ...CLOCKS,
  ...MUTE,
  ...FAILOVER,
  ...DISK,
];
