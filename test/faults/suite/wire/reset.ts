/** Ends a connection so that the other side sees a reset, whatever state it is in. */
import type net from 'node:net';

/**
 * A socket that is just sending its end refuses a reset, and Node 20 then leaves its handle open for ever: the
 * suite would print its table and never end.
 */
export function reset(socket: net.Socket): void {
  if (socket.writable) socket.resetAndDestroy();
  else socket.destroy();
}
