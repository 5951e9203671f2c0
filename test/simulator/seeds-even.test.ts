/** The whole system under faults: the even seeds. */
import { runSeeds } from './support/seeds.ts';

runSeeds(2);
