// Preloaded into processes that tests start: a worker that is killed must not leave them behind.
import process from 'node:process';

process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));
process.channel?.unref(); // the channel alone must not keep the process up
