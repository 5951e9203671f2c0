/**
 * Preloaded (`node --import`) into every process that `muster dev` starts: ends it when dev is gone, however
 * dev ended, SIGKILL included. The channel to the parent breaks at that moment; nothing has to be polled.
 *
 * A parent may be gone before this file is loaded; its channel is then closed already, and no event follows.
 */

/** The process's own stop has this long; without a database (dev's goes with dev) it may not get far. */
const GRACE_MS = 5_000;

function end(): void {
  process.kill(process.pid, 'SIGTERM');
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), GRACE_MS).unref();
}

if (process.connected) {
  process.once('disconnect', end);
  // The channel alone must not keep the process up.
  process.channel?.unref();
} else {
  end();
}
