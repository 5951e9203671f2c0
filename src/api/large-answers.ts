/**
 * Large answers to readers that are slow, or never read. An answer is kept in memory until its reader has taken it, and
 * anybody may ask for some of them: together they are bounded, and each has a time in which it must be taken. Small
 * ones fit into the buffers that the kernel keeps for a connection.
 */
import { finished } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ApiDeps } from './deps.ts';
import { notAccepted } from './refusal.ts';

const LARGE_BYTES = 16 * 1_024;
/** A twelfth of what the chart lets a process have. */
const HELD_BYTES = 128 * 1_024 ** 2;
/** The largest answers are a few megabytes: at 100 kB a second they are through. */
const TAKEN_WITHIN_MS = 60_000;
const RETRY_SECS = 2;

/** `heldBytes`: a test's own bound. */
export function addLargeAnswers(
  app: FastifyInstance,
  { clock }: Pick<ApiDeps, 'clock'>,
  heldBytes = HELD_BYTES,
): void {
  let held = 0;
  app.addHook('onSend', (request, reply, payload, done) => {
    const bytes = sizeOf(payload);
    if (bytes < LARGE_BYTES) {
      done(null, payload);
    } else if (held > 0 && held + bytes > heldBytes) {
      // Said of the answer that there is none of.
      for (const name of ['etag', 'cache-control', 'last-modified']) void reply.removeHeader(name);
      done(notAccepted('slow-readers', RETRY_SECS));
    } else {
      held += bytes;
      const cancel = clock.after(TAKEN_WITHIN_MS, () => request.raw.socket.destroy());
      onceTaken(request, reply, () => {
        cancel();
        held -= bytes;
      });
      done(null, payload);
    }
  });
}

/** Streams wait for their readers by themselves. */
function sizeOf(payload: unknown): number {
  return typeof payload === 'string' || Buffer.isBuffer(payload) ? payload.length : 0;
}

/** Once, whichever comes first: an answer that waits behind another one does not hear that its connection closed. */
function onceTaken(
  { raw: { socket } }: FastifyRequest,
  reply: FastifyReply,
  then: () => void,
): void {
  let over = false;
  const end = (): void => {
    socket.off('close', end);
    if (!over) then();
    over = true;
  };
  socket.once('close', end);
  finished(reply.raw, end);
}
