/**
 * Every answer that is no success leaves through here, as `application/problem+json` with a code of the
 * catalogue. Faults of our own are logged with their cause and answered without it.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type {
  ConnectionError,
  FastifyError,
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
} from 'fastify';
import { problem, PROBLEM_TYPE, PROBLEMS, type ProblemCode } from '../wire/problem.ts';
import type { ApiDeps } from './deps.ts';
import { ANSWER_HEADERS } from './headers.ts';
import { hasMuchToCome } from './listen/bodies.ts';
import type { CutOff } from './listen/cuts.ts';
import { notAccepted, ofUnfitSchema, Refusal } from './refusal.ts';
import { routeOf } from './route.ts';

type ErrorDeps = Pick<ApiDeps, 'log' | 'metrics' | 'random' | 'pool'>;

/** Anything with a code and a status that fastify itself refuses requests with. */
function ofFramework(error: FastifyError): Refusal | null {
  const status = error.statusCode ?? 500;
  if (status === 413) return new Refusal('too-large', 'the body is too large; send less');
  if (status === 415) return new Refusal('unsupported-media-type', 'send application/json');
  if (status >= 400 && status < 500)
    return new Refusal('malformed', 'the request cannot be read; see /openapi.json');
  return null;
}

/** Everyone who was told to come back comes back at another time: half as long again at the most. */
function retryAfter(seconds: number, random: () => number): string {
  return String(Math.max(1, Math.ceil(seconds * (1 + random() / 2))));
}

async function asRefusal(
  error: FastifyError | Refusal,
  deps: ErrorDeps,
  route: string,
): Promise<Refusal> {
  const known =
    error instanceof Refusal ? error : (ofFramework(error) ?? (await ofUnfitSchema(error, deps)));
  if (known !== null) return known;
  deps.log.error({ err: error, route }, 'a request failed');
  return new Refusal('internal', 'this is a fault of the control plane; its log says more');
}

/** Refused for who asks, whatever it was. */
const OF_IDENTITY: ReadonlySet<ProblemCode> = new Set([
  ...(['unauthenticated', 'wrong-identity', 'wrong-host'] as const),
  ...(['needs-operator', 'needs-admin', 'outside-scope'] as const),
]);

function answer(reply: FastifyReply, refusal: Refusal, deps: ErrorDeps): FastifyReply {
  const { retryAfterSecs, why, endsConnection, proof } = refusal.options;
  if (retryAfterSecs !== undefined) {
    void reply.header('retry-after', retryAfter(retryAfterSecs, deps.random));
  }
  if (endsConnection === true || hasMuchToCome(reply.request.raw)) {
    void reply.header('connection', 'close');
  }
  // The scheme that every listener knows; certificates need no asking.
  if (refusal.status === 401) void reply.header('www-authenticate', 'Bearer realm="muster"');
  if (why !== undefined) deps.metrics.count('muster_api_shed_total', { why });
  if (OF_IDENTITY.has(refusal.code)) {
    const reason = proof ?? refusal.code;
    deps.metrics.count('muster_api_refused_identities_total', { reason });
  }
  return reply
    .code(refusal.status)
    .header('content-type', PROBLEM_TYPE)
    .serializer((body: unknown) => JSON.stringify(body))
    .send(refusal.body);
}

export function addErrors(app: FastifyInstance, deps: ErrorDeps, onShed: () => void): void {
  app.setErrorHandler(async (error: FastifyError | Refusal, request: FastifyRequest, reply) => {
    const refusal = await asRefusal(error, deps, routeOf(request).url ?? 'none');
    if (refusal.isShed) onShed();
    return answer(reply, refusal, deps);
  });
  app.setNotFoundHandler((request, reply) => answer(reply, noRoute(request), deps));
}

function noRoute({ method, url }: FastifyRequest): Refusal {
  return new Refusal(
    'no-route',
    `${method} ${url.slice(0, 200)} does not exist; see /openapi.json`,
  );
}

/** Another replica is a new connection away. */
const STOPPING_RETRY_SECS = 1;

/** Whatever still comes over a connection that is kept, before anybody is asked who they are. */
export function refuseAllOnce(app: FastifyInstance, isStopping: () => boolean): void {
  app.addHook('onRequest', (_request, _reply, done) => {
    if (!isStopping()) done();
    else done(notAccepted('draining', STOPPING_RETRY_SECS, { endsConnection: true }));
  });
}

/** Before the body of such a request is read. To be called after the hook that counts its caller. */
export function refuseUnknownRoutes(app: FastifyInstance): void {
  app.addHook('onRequest', (request, _reply, done) => {
    done(request.is404 ? noRoute(request) : undefined);
  });
}

/** While a body is read nobody is asked yet: answered without the application, and the connection ends. */
export function refuseByHand(
  response: ServerResponse,
  refusal: Refusal,
  { metrics, random }: Pick<ErrorDeps, 'metrics' | 'random'>,
): void {
  const { retryAfterSecs, why } = refusal.options;
  if (why !== undefined) metrics.count('muster_api_shed_total', { why });
  // The answer is on its way, or another's is before it.
  if (response.headersSent || response.socket === null) {
    response.req.socket.destroy();
    return;
  }
  if (retryAfterSecs !== undefined)
    response.setHeader('retry-after', retryAfter(retryAfterSecs, random));
  const headers = { ...ANSWER_HEADERS, 'content-type': PROBLEM_TYPE, connection: 'close' };
  response.writeHead(refusal.status, headers).end(JSON.stringify(refusal.body));
}

/** Paths that the router cannot read: refused before any hook runs, and before anyone is asked who they are. */
export function answerFrameworkError(
  _error: FastifyError,
  _request: FastifyRequest,
  reply: FastifyReply,
): void {
  const refusal = new Refusal('malformed', 'the path cannot be read; see /openapi.json');
  void reply
    .code(refusal.status)
    .headers(ANSWER_HEADERS)
    .type(PROBLEM_TYPE)
    .send(JSON.stringify(refusal.body));
}

/** What never became a request: a slow or oversized header, or no HTTP at all. Answered by hand, then closed. */
export function clientErrorAnswerer(cut: CutOff): (error: ConnectionError, socket: Socket) => void {
  return (error, socket) => {
    // No handshake, so nobody who could read an answer.
    if (/^ERR_(SSL|TLS)_/.test(error.code)) {
      socket.destroy();
      cut('tls');
      return;
    }
    if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) return;
    const code = CLIENT_ERRORS.get(error.code) ?? 'malformed';
    cut(code);
    const body = JSON.stringify(
      problem(code, 'the request cannot be read; send it whole, and in time'),
    );
    const head = [
      `HTTP/1.1 ${String(PROBLEMS[code][0])} ${PROBLEMS[code][1]}`,
      `Content-Type: ${PROBLEM_TYPE}`,
      `Content-Length: ${String(Buffer.byteLength(body))}`,
      ...Object.entries(ANSWER_HEADERS).map(([name, value]) => `${name}: ${value}`),
      'Connection: close',
    ];
    socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => {
      socket.destroy();
    });
  };
}

const CLIENT_ERRORS: ReadonlyMap<string, 'too-slow' | 'headers-too-large'> = new Map([
  ['ERR_HTTP_REQUEST_TIMEOUT', 'too-slow'],
  ['HPE_HEADER_OVERFLOW', 'headers-too-large'],
]);
