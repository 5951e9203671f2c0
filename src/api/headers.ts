/**
 * What every answer tells a browser, by hand: five lines, and no dependency that would have to be told to leave the
 * rest out. An answer is data for the page of this origin and for programs: nothing frames it, runs it, guesses at
 * its type or reads it from another origin. There is no CORS: no header here ever lets another origin in.
 */
import type { FastifyInstance } from 'fastify';

export const ANSWER_HEADERS = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
} as const;

/** A year, as browsers' lists ask for; said over TLS only, where it means something. */
const TRANSPORT = 'max-age=31536000';

export function addHeaders(app: FastifyInstance): void {
  app.addHook('onRequest', (request, reply, done) => {
    void reply.headers(ANSWER_HEADERS);
    if (request.protocol === 'https') void reply.header('strict-transport-security', TRANSPORT);
    // What an operator was answered is no business of a shared machine's cache; routes may say otherwise.
    if (request.headers.authorization !== undefined) void reply.header('cache-control', 'no-store');
    done();
  });
}
