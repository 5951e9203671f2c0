// Preloaded into the processes under test: SIGUSR2 collects all garbage, so that what is left of the heap is in use.
import process from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
process.on('SIGUSR2', () => {
  runInNewContext('gc()');
});
