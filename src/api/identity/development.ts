/** A header that says who one is, believed in development only: on loopback, where every caller is oneself. */
import type { AddressInfo } from 'node:net';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Logger } from '../../telemetry.ts';
import { isHostname } from '../../wire/ids.ts';
import type { Identity, Way } from './identity.ts';

const DEV_HEADER = 'x-muster-dev-identity';
/** What a person or a pipeline is called; shown in the log as the actor. */
const OPERATOR_NAME = /^[\w.@+-]{1,128}$/;
const LOOPBACK = /^(::1|(::ffff:)?127\.\d+\.\d+\.\d+)$/;

function parseDevIdentity(header: string): Identity | null {
  const [kind, name = ''] = header.split(/:(.*)/s);
  if (kind === 'agent' && isHostname(name)) return { kind: 'agent', hostname: name };
  if (kind === 'operator' && OPERATOR_NAME.test(name))
    return { kind: 'operator', name, role: 'admin' };
  return null;
}

/** A unix socket's address is its path: as local as it gets. */
function isLoopback(address: AddressInfo | string | null): boolean {
  return address === null || typeof address === 'string' || LOOPBACK.test(address.address);
}

function onLoopback({ socket }: FastifyRequest): boolean {
  // Requests injected in process have no local address.
  return LOOPBACK.test(socket.localAddress ?? socket.remoteAddress ?? '');
}

export function developmentIdentity(app: FastifyInstance, log: Logger): Way {
  let loopbackOnly = true;
  app.addHook('onListen', (done) => {
    loopbackOnly = isLoopback(app.server.address());
    if (!loopbackOnly)
      log.error({}, 'development identities are off: listen on 127.0.0.1 to use them');
    done();
  });
  return {
    hint: `send ${DEV_HEADER}: agent:<host> or operator:<name>`,
    identify(request) {
      const header = request.headers[DEV_HEADER];
      if (!loopbackOnly || typeof header !== 'string' || !onLoopback(request)) return null;
      return parseDevIdentity(header);
    },
  };
}
