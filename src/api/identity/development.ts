/** A header that says who one is, believed in development only: on loopback, where every caller is oneself. */
import type { AddressInfo } from 'node:net';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Logger } from '../../telemetry.ts';
import { isHostname, OPERATOR_NAME } from '../../wire/ids.ts';
import { OPERATOR_ROLES } from '../../wire/role.ts';
import type { Identity, Way } from './identity.ts';

const DEV_HEADER = 'x-muster-dev-identity';
const LOOPBACK = /^(::1|(::ffff:)?127\.\d+\.\d+\.\d+)$/;

function parseDevIdentity(header: string): Identity | null {
  const [kind, name = ''] = header.split(/:(.*)/s);
  if (kind === 'agent' && isHostname(name)) return { kind: 'agent', hostname: name };
  return kind === 'operator' ? parseOperator(name) : null;
}

/** `ada`, who may do everything, or `ada:viewer`. */
function parseOperator(text: string): Identity | null {
  const [name = '', asked = 'admin', ...rest] = text.split(':');
  const role = OPERATOR_ROLES.find((one) => one === asked);
  if (!OPERATOR_NAME.test(name) || role === undefined || rest.length > 0) return null;
  return {
    ...{ kind: 'operator', name, role, via: 'development' },
    ...{ channels: null, issuedAt: null, expiresAt: null },
  };
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
    hint: `send ${DEV_HEADER}: agent:<host> or operator:<name>[:<role>]`,
    identify(request) {
      const header = request.headers[DEV_HEADER];
      if (!loopbackOnly || typeof header !== 'string' || !onLoopback(request)) return null;
      return parseDevIdentity(header);
    },
  };
}
