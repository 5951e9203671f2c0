/**
 * Bodies on their way in, of all listeners: what they hold of this process's memory until they are whole, and what
 * taking them in pieces costs its only thread. No route is asked yet, and half of them would read a stranger's body
 * before they say no; so it is counted here, piece by piece, as the parser hands them over.
 *
 * Who sends too much is answered at once and read no further: a push that answers false stops the reading.
 */
import { IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { notAccepted, Refusal } from '../refusal.ts';

/**
 * A piece costs some 2 µs whatever its size, so 260,000 chunks of a byte held everything else up for half a second. Below
 * this many any client is welcome to its ways: no body of the protocol, a token at a time, has as many.
 */
const MANY_PIECES = 1_024;
/** What a piece of one that sends many has at the least, on average; a packet that carries anything has 500. */
const SMALL_PIECE = 64;
/** Of all bodies together: 250 of the largest event. Agents send some hundred bytes that come whole. */
const MOST_BYTES = 64 * 1024 * 1024;
/** Of one caller: as many as one in eight can take from the others, and 32 of the largest event. */
const MOST_OF_ONE = MOST_BYTES / 8;
/**
 * Nobody is refused for others' bodies whose own is no larger: heartbeats, ordinary events and enrolments pass, at the
 * cost of 40 MB where 5,000 connections that are no polls all do so.
 */
const SMALL_BODY = 8 * 1024;
/** The largest body that anybody reads (an enrolment); of a larger one no more is kept. */
const MOST_KEPT = 1024 * 1024;
/** What a piece is kept in, beside its bytes. */
const PIECE_BYTES = 200;
/** By then those that were slow have been cut off (`MUSTER_REQUEST_TIMEOUT_SECONDS`). */
const RETRY_SECS = 10;

export interface BodyRefusals {
  /** Answers by hand, where nothing was answered yet; the connection ends. */
  refuse(response: ServerResponse, refusal: Refusal): void;
  /** Bytes of bodies that are not whole, as they change. */
  held(bytes: number): void;
}

/** What has come of one body. `taken` counts what each piece adds, and says whether another is welcome; `refuse` answers if not. */
class Body {
  caller: string | null = null;
  pieces = 0;
  bytes = 0;
  /** It belongs to nobody any more. */
  isDone = false;
  private isRefused = false;
  private readonly refuse: (refusal: Refusal) => void;
  private readonly taken: (body: Body, more: number) => Refusal | null;

  constructor(
    taken: (body: Body, more: number) => Refusal | null,
    refuse: (refusal: Refusal) => void,
  ) {
    this.taken = taken;
    this.refuse = refuse;
  }

  get kept(): number {
    return Math.min(this.bytes + this.pieces * PIECE_BYTES, MOST_KEPT);
  }

  /** False: nothing more is read. */
  takes(piece: unknown): boolean {
    if (this.isRefused) return false;
    if (this.isDone || !Buffer.isBuffer(piece)) return true;
    const before = this.kept;
    this.pieces += 1;
    this.bytes += piece.length;
    const refusal = this.taken(this, this.kept - before);
    if (refusal === null) return true;
    this.isRefused = true;
    this.refuse(refusal);
    return false;
  }
}

/**
 * The request of every server here: its body is counted as the parser hands it over. One method for all of them: with a
 * function of its own on each, more of what requests allocate outlives them (a fifth, where it is a twelfth like this).
 */
export class CountedRequest extends IncomingMessage {
  /** Null: it has none. */
  body: Body | null = null;

  override push(piece: unknown, encoding?: BufferEncoding): boolean {
    return (this.body?.takes(piece) ?? true) && super.push(piece, encoding);
  }
}

export class Bodies {
  private readonly refusals: BodyRefusals;
  private readonly byCaller = new Map<string, number>();
  private total = 0;

  constructor(refusals: BodyRefusals) {
    this.refusals = refusals;
  }

  bound(handler: RequestListener<typeof CountedRequest>): RequestListener<typeof CountedRequest> {
    return (request, response) => {
      // Of most requests the parser knows by now that they have none.
      if (hasBody(request)) this.watch(request, response);
      handler(request, response);
    };
  }

  /** From now on, what is kept of this request's body is this caller's. */
  belongsTo(request: IncomingMessage, caller: string): void {
    const body = request instanceof CountedRequest ? request.body : null;
    if (body === null || body.isDone || body.caller !== null) return;
    body.caller = caller;
    this.add(caller, body.kept);
  }

  private watch(request: CountedRequest, response: ServerResponse): void {
    const body = new Body(this.taken, (refusal) => {
      this.refusals.refuse(response, refusal);
    });
    request.body = body;
    const forget = (): void => {
      if (body.isDone) return;
      body.isDone = true;
      this.change(body, -body.kept);
    };
    request.on('close', forget);
    response.on('close', forget);
    // What nobody reads is parsed all the same, chunk by chunk, until its connection is gone.
    if (isChunked(request))
      response.once('finish', () => {
        if (!request.complete) request.socket.destroy();
      });
  }

  private readonly taken = (body: Body, more: number): Refusal | null => {
    this.change(body, more);
    return this.whyNot(body);
  };

  private whyNot({ pieces, bytes, caller }: Body): Refusal | null {
    if (pieces > MANY_PIECES && bytes < pieces * SMALL_PIECE) {
      const detail = `the body comes in pieces of less than ${String(SMALL_PIECE)} bytes; send it in larger ones`;
      return new Refusal('malformed', detail);
    }
    if (bytes <= SMALL_BODY) return null;
    const own = caller === null ? 0 : (this.byCaller.get(caller) ?? 0);
    if (own > MOST_OF_ONE) return notAccepted('bodies-of-one', RETRY_SECS, { ofOneCaller: true });
    return this.total > MOST_BYTES ? notAccepted('bodies', RETRY_SECS) : null;
  }

  private change({ caller }: Body, by: number): void {
    if (by === 0) return;
    this.total += by;
    if (caller !== null) this.add(caller, by);
    this.refusals.held(this.total);
  }

  private add(caller: string, by: number): void {
    const now = (this.byCaller.get(caller) ?? 0) + by;
    if (now > 0) this.byCaller.set(caller, now);
    else this.byCaller.delete(caller);
  }
}

function isChunked({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined;
}

function hasBody(request: IncomingMessage): boolean {
  return isChunked(request) || Number(request.headers['content-length'] ?? 0) > 0;
}

/** Refused now, its body would still come for a while, and nobody would read it. Small ones have come by then. */
export function hasMuchToCome(request: IncomingMessage): boolean {
  if (request.complete) return false;
  return isChunked(request) || Number(request.headers['content-length'] ?? 0) > SMALL_BODY;
}
