/**
 * Large answers to readers that are slow, or never read. An answer is kept in memory until its reader has taken it, and
 * anybody may ask for some of them: together they are bounded, and each has a time in which it must be taken. A caller
 * has a share of what may be kept (strangers have one for each thing they may ask for), so that nobody's unread
 * answers are in the way of others. Small ones fit into the buffers that the kernel keeps for a connection.
 */
import { finished } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ApiDeps } from './deps.ts';
import type { CutOff } from './listen/cuts.ts';
import { callerOf } from './rates.ts';
import { notAccepted } from './refusal.ts';
import { routeOf } from './route.ts';

const LARGE_BYTES = 16 * 1_024;
/** A twelfth of what the chart lets a process have. */
const HELD_BYTES = 128 * 1_024 ** 2;
/** Of one caller, beyond the one answer that everybody may have, however large it is. */
const SHARE = 1 / 16;
/** The largest answers are a few megabytes: at 100 kB a second they are through. */
const TAKEN_WITHIN_MS = 60_000;
const RETRY_SECS = 2;

/** `heldBytes`: a test's own bound. */
export function addLargeAnswers(
  app: FastifyInstance,
  { clock, cut }: Pick<ApiDeps, 'clock'> & { readonly cut: CutOff },
  heldBytes = HELD_BYTES,
): void {
  const kept = new Kept(heldBytes);
  app.addHook('onSend', (request, reply, payload, done) => {
    const bytes = sizeOf(payload);
    if (bytes < LARGE_BYTES) {
      done(null, payload);
      return;
    }
    const reader = readerOf(request);
    if (!kept.takes(reader, bytes)) {
      // Said of the answer that there is none of.
      for (const name of ['etag', 'cache-control', 'last-modified']) void reply.removeHeader(name);
      done(notAccepted('slow-readers', RETRY_SECS));
    } else {
      const release = kept.keep(reader, bytes);
      const cancel = clock.after(TAKEN_WITHIN_MS, () => {
        request.raw.socket.destroy();
        cut('slow-reader');
      });
      onceTaken(request, reply, () => {
        cancel();
        release();
      });
      done(null, payload);
    }
  });
}

/** Strangers share by what they ask for: who floods one file keeps nobody from the page. */
function readerOf(request: FastifyRequest): string {
  return request.identity === null ? `nobody ${routeOf(request).url ?? ''}` : callerOf(request);
}

/** Bytes that wait, in all and of each reader. */
class Kept {
  private readonly most: number;
  private readonly of = new Map<string, number>();
  private all = 0;

  constructor(most: number) {
    this.most = most;
  }

  takes(caller: string, bytes: number): boolean {
    const own = this.of.get(caller) ?? 0;
    const isFair = own === 0 || own + bytes <= this.most * SHARE;
    return isFair && (this.all === 0 || this.all + bytes <= this.most);
  }

  /** Gives them back when called. */
  keep(caller: string, bytes: number): () => void {
    this.add(caller, bytes);
    return () => {
      this.add(caller, -bytes);
    };
  }

  private add(caller: string, bytes: number): void {
    const own = (this.of.get(caller) ?? 0) + bytes;
    if (own === 0) this.of.delete(caller);
    else this.of.set(caller, own);
    this.all += bytes;
  }
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
