/**
 * Agents, browsers and balancers ask, and wait for the answer. Whoever sends a thousand questions in one packet has a
 * thousand answers made, which are kept here until they are read: such a connection ends. HTTP/1.1 lets a client
 * send its next question early, so a few may wait.
 */
import type { RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import type { CutOff } from './cuts.ts';

/** Far more than anything that calls an API has under way on one connection. */
const LONGEST_LINE = 4;

export function boundPipelining(handler: RequestListener, cut: CutOff): RequestListener {
  const unanswered = new WeakMap<Socket, number>();
  return (request, response) => {
    const { socket } = request;
    // The rest of a packet is still read after its connection was ended.
    if (socket.destroyed) return;
    const before = unanswered.get(socket) ?? 0;
    if (before >= LONGEST_LINE) {
      socket.destroy();
      cut('pipelining');
      return;
    }
    unanswered.set(socket, before + 1);
    // Said once: `on` saves what `once` keeps to take itself away.
    response.on('close', () => {
      unanswered.set(socket, (unanswered.get(socket) ?? 1) - 1);
    });
    handler(request, response);
  };
}
