/** `X-Nixfleet-Protocol`: another major is refused; agents that do not send it are always welcome. */
import type { FastifyInstance } from 'fastify';
import { Refusal } from './refusal.ts';

const HEADER = 'x-nixfleet-protocol';
const MAJOR = '1';

export function addProtocol(app: FastifyInstance): void {
  app.addHook('onRequest', (request, reply, done) => {
    const sent = request.headers[HEADER];
    if (sent !== undefined && request.url.startsWith('/v1/')) {
      const major = String(sent).trim().split('.', 1)[0];
      if (major !== MAJOR) {
        void reply.header(HEADER, MAJOR);
        throw new Refusal('unsupported-protocol', `send ${HEADER}: ${MAJOR}, or no such header`);
      }
    }
    done();
  });
}
