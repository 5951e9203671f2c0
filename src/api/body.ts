/**
 * Bodies of agents, read whatever they are. An event that can never be accepted is still kept, so neither
 * size nor syntax may end the request early: beyond the limit only an excerpt stays in memory, and the rest
 * is read and dropped (a client that is cut off while sending never sees its answer, and would send the
 * same again for ever). How long that may take is the request timeout's business.
 */
import type { FastifyInstance } from 'fastify';
import { storableText } from '../wire/text.ts';
import { Refusal } from './refusal.ts';

/** The largest event is a ProbeResult with a few hundred controls, some 100 kB. */
export const BODY_LIMIT = 256 * 1024;
/** Enough to recognise what was sent. */
const EXCERPT_CHARS = 2_048;

export interface RawBody {
  /** The body as text; when it is too large, only its beginning. */
  readonly text: string;
  readonly tooLarge: boolean;
}

export const EMPTY_BODY: RawBody = { text: '', tooLarge: false };

export function excerptOf(body: RawBody): string {
  return storableText(body.text.slice(0, EXCERPT_CHARS));
}

/** In the given scope, every body arrives as a RawBody, whatever its content type says: none is asked. */
export function readRawBodies(scope: FastifyInstance): void {
  scope.removeAllContentTypeParsers();
  // A content type that cannot be read would be refused before any parser is asked.
  scope.addHook('onRequest', (request, _reply, done) => {
    request.headers['content-type'] = 'application/json';
    done();
  });
  scope.addContentTypeParser('application/json', (_request, payload, done) => {
    const chunks: Buffer[] = [];
    let size = 0;
    let ended = false;
    payload.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= BODY_LIMIT) chunks.push(chunk);
      else if (chunks.length > 1)
        chunks.splice(1); // the first chunk is the excerpt
      else if (chunks.length === 0) chunks.push(chunk.subarray(0, EXCERPT_CHARS));
    });
    payload.on('end', () => {
      ended = true;
      const kept =
        chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
      done(null, { text: kept.toString('utf8'), tooLarge: size > BODY_LIMIT });
    });
    payload.on('close', () => {
      if (!ended) done(new Refusal('malformed', 'the body ended early; send it whole'));
    });
    payload.on('error', () => undefined); // close follows
  });
}
