/**
 * A small shell that outlives us just long enough to stop the server we started.
 *
 * It reads words from a pipe that only this process holds. The pipe ends when this process ends,
 * by `exit`, by a crash or by SIGKILL, and then the watchdog stops the server and, for an
 * ephemeral one, deletes its data. An exit hook in Node would miss SIGKILL.
 */
import { spawn } from 'node:child_process';
import { Socket } from 'node:net';

export interface Watchdog {
  serverIs(pid: number): void;
  serverIsGone(): void;
  /** Nothing is left to look after; the watchdog ends. */
  release(): void;
}

// `lives`: in a container whose first process reaps nobody, a dead server stays as a zombie (Z).
// 200 × 0.1 s: what a fast shutdown with a checkpoint may take; then the hard way.
// `rm` again: another process that ends now may still have put a file there.
const SCRIPT = `
trap '' HUP INT TERM
lives() { kill -0 "$pid" && ! grep -q '^State:.Z' "/proc/$pid/status"; }
pid=
while read -r word value; do
  case $word in
    pid) pid=$value ;;
    gone) pid= ;;
    release) exit 0 ;;
  esac
done
if [ -n "$pid" ]; then
  kill -INT "$pid"
  n=0
  while lives && [ $n -lt 200 ]; do sleep 0.1; n=$((n + 1)); done
  kill -KILL "$pid"
fi 2>/dev/null
n=0
while [ -n "$1" ] && ! rm -rf -- "$1" && [ $n -lt 5 ]; do sleep 1; n=$((n + 1)); done
`;

/** `remove`: a directory to delete if this process dies before it calls `release`. */
export function startWatchdog(remove: string | undefined): Watchdog {
  const shell = spawn('/bin/sh', ['-c', SCRIPT, 'muster-postgres-watchdog', remove ?? ''], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // A watchdog that is gone leaves us without a net, not without a server.
  shell.on('error', () => undefined);
  shell.stdin.on('error', () => undefined);
  shell.unref();
  // Nor may the pipe keep this process alive; Node's types hide that it is a socket.
  if (shell.stdin instanceof Socket) shell.stdin.unref();
  return {
    serverIs: (pid) => shell.stdin.write(`pid ${pid}\n`),
    serverIsGone: () => shell.stdin.write('gone\n'),
    release: () => shell.stdin.end('release\n'),
  };
}
