/** The whole system under faults: the odd seeds. */
import { runSeeds } from './support/seeds.ts';

runSeeds(1);
