/**
 * The control plane over HTTP(S): status codes and headers become the answers of `control-plane.ts`. One
 * endpoint, two connection pools: a parked long poll holds its socket for a minute, and a report must never
 * queue behind those.
 */
import http from 'node:http';
import https from 'node:https';
import type { HostEvent } from '../reducer/host/events.ts';
import { isJsonObject } from '../wire/text.ts';
import {
  readDispatch,
  readObject,
  readRetryAfter,
  readSeq,
  readSnapshots,
  textOf,
} from './answers.ts';
import type {
  ArtifactAnswer,
  ArtifactName,
  ArtifactSource,
  ControlPlane,
  Delivery,
  DispatchAnswer,
  Heartbeat,
  HeartbeatAnswer,
  Trouble,
} from './control-plane.ts';

export interface Connections {
  readonly endpoint: URL;
  readonly polls: http.Agent;
  readonly requests: http.Agent;
}

export interface PoolSizes {
  /** Hosts of this process: each parks one poll. */
  readonly hosts: number;
  /** Sockets for everything short. */
  readonly requests: number;
}

/** Existing agents give up after 10 s as well; the control plane answers an event within about 2. */
export const REQUEST_TIMEOUT_MS = 10_000;
/** The longest that the protocol allows. */
const POLL_SECONDS = 60;
/** A parked poll is answered after its wait; the rest is for a busy network. */
export const POLL_TIMEOUT_MS = (POLL_SECONDS + 10) * 1000;
/** Larger than any artifact of a 100,000-host fleet (some 20 MB); a server that sends more is broken. */
const MAX_BODY_BYTES = 64 * 1024 * 1024;

export interface Call {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export interface Reply {
  readonly kind: 'reply';
  readonly status: number;
  readonly body: Buffer;
  header(name: string): string | undefined;
}

/** One pair of pools towards one endpoint, for one agent or for thousands; `tls` is who it is, and whom it trusts. */
export function connect(
  endpoint: string,
  sizes: PoolSizes,
  tls: Pick<https.AgentOptions, 'ca' | 'cert' | 'key'> = {},
): Connections {
  const url = new URL(endpoint);
  const Agent = url.protocol === 'https:' ? https.Agent : http.Agent;
  // A poll's socket is free between two polls only, and the next poll of some host takes it at once.
  const polls = new Agent({
    ...tls,
    keepAlive: true,
    maxSockets: sizes.hosts,
    maxFreeSockets: sizes.hosts,
  });
  const requests = new Agent({
    ...tls,
    keepAlive: true,
    maxSockets: sizes.requests,
    maxFreeSockets: sizes.requests,
  });
  return { endpoint: url, polls, requests };
}

export function disconnect(connections: Connections): void {
  connections.polls.destroy();
  connections.requests.destroy();
}

/** Lets what is under way end, and each connection with it; nothing new is to be sent over them. */
export function retire(connections: Connections): void {
  for (const agent of [connections.polls, connections.requests]) {
    agent.maxFreeSockets = 0;
    for (const idle of Object.values(agent.freeSockets).flat()) idle?.destroy();
  }
}

/** Carries one request to the control plane; whatever goes wrong on the way is trouble. */
export interface Carrier {
  short(call: Call, signal: AbortSignal): Promise<Reply | Trouble>;
  poll(call: Call, signal: AbortSignal): Promise<Reply | Trouble>;
}

/** One host's view. `identity` are the headers that say who it is, where no certificate does. */
export function httpControlPlane(
  connections: Connections,
  hostname: string,
  identity: Readonly<Record<string, string>>,
): ControlPlane {
  return controlPlaneOver(httpCarrier(connections, identity), hostname);
}

export function httpArtifacts(
  connections: Connections,
  identity: Readonly<Record<string, string>>,
): ArtifactSource {
  return artifactsOver(httpCarrier(connections, identity));
}

export function httpCarrier(
  { endpoint, requests, polls }: Connections,
  identity: Readonly<Record<string, string>>,
): Carrier {
  return {
    short: (call, signal) =>
      send(endpoint, requests, withHeaders(call, identity), REQUEST_TIMEOUT_MS, signal),
    poll: (call, signal) =>
      send(endpoint, polls, withHeaders(call, identity), POLL_TIMEOUT_MS, signal),
  };
}

/** What a host says and hears, over any carrier. */
export function controlPlaneOver(carrier: Carrier, hostname: string): ControlPlane {
  return {
    postEvent: async (rolloutId, event, signal) => {
      const body = { hostname, rolloutId, event };
      const call: Call = {
        method: 'POST',
        path: '/v1/agent/events',
        headers: { prefer: 'verdict' },
        body,
      };
      return deliveryOf(await carrier.short(call, signal), event);
    },
    heartbeat: async (body: Heartbeat, signal) =>
      heardOf(await carrier.short({ method: 'POST', path: '/v1/agent/heartbeat', body }, signal)),
    dispatch: async (signal) =>
      dispatchOf(
        await carrier.poll(
          { method: 'GET', path: `/v1/agent/dispatch?wait=${POLL_SECONDS}` },
          signal,
        ),
      ),
  };
}

export function artifactsOver(carrier: Carrier): ArtifactSource {
  const get = async (
    path: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<ArtifactAnswer> =>
    artifactOf(await carrier.short({ method: 'GET', path, headers }, signal));
  return {
    artifact: (name: ArtifactName, etag, signal) =>
      get(`/v1/${name}`, etag === null ? {} : { 'if-none-match': etag }, signal),
    signature: (name: ArtifactName, signal) => get(`/v1/${name}/sig`, {}, signal),
  };
}

function deliveryOf(reply: Reply | Trouble, event: HostEvent): Delivery {
  if (reply.kind === 'trouble') return reply;
  if (reply.status >= 200 && reply.status < 300) return { kind: 'accepted' };
  if (reply.status !== 400 && reply.status !== 409 && reply.status !== 413) return problemOf(reply);
  const problem = readObject(reply.body.toString('utf8'));
  return {
    kind: 'refused',
    status: reply.status,
    code: textOf(problem?.['code']) ?? `http-${reply.status}`,
    detail: textOf(problem?.['detail']) ?? `${event.kind} ${event.seq} was refused`,
  };
}

function heardOf(reply: Reply | Trouble): HeartbeatAnswer {
  if (reply.kind === 'trouble') return reply;
  if (reply.status !== 200) return problemOf(reply);
  const body = readObject(reply.body.toString('utf8'));
  if (body === null)
    return trouble('a heartbeat was answered with something that is no JSON object');
  return {
    kind: 'heard',
    replayFrom: readSeq(reply.header('x-nixfleet-replay-from')),
    bootstrap: readSnapshots(body),
  };
}

function dispatchOf(reply: Reply | Trouble): DispatchAnswer {
  if (reply.kind === 'trouble') return reply;
  if (reply.status === 204) return { kind: 'none' };
  if (reply.status !== 200) return problemOf(reply);
  const body = readObject(reply.body.toString('utf8'));
  const dispatch = body === null ? null : readDispatch(body);
  return dispatch === null
    ? trouble('a dispatch could not be read')
    : { kind: 'dispatch', dispatch };
}

function artifactOf(reply: Reply | Trouble): ArtifactAnswer {
  if (reply.kind === 'trouble') return reply;
  if (reply.status === 304) return { kind: 'unchanged' };
  if (reply.status !== 200) return problemOf(reply);
  return { kind: 'artifact', bytes: reply.body, etag: reply.header('etag') ?? null };
}

/** What an answer that is no success says. */
export function problemOf(reply: Reply): Trouble {
  const problem = readObject(reply.body.toString('utf8'));
  const said = isJsonObject(problem)
    ? (textOf(problem['detail']) ?? textOf(problem['code']))
    : null;
  return {
    kind: 'trouble',
    reason: `HTTP ${reply.status}${said === null ? '' : `: ${said}`}`,
    retryAfterMs: readRetryAfter(reply.header('retry-after')),
  };
}

function trouble(reason: string): Trouble {
  return { kind: 'trouble', reason, retryAfterMs: null };
}

function withHeaders(call: Call, headers: Readonly<Record<string, string>>): Call {
  return { ...call, headers: { 'x-nixfleet-protocol': '1', ...headers, ...call.headers } };
}

/** Never rejects: no answer, half an answer and too late an answer are trouble. */
function send(
  endpoint: URL,
  agent: http.Agent,
  call: Call,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Reply | Trouble> {
  return new Promise((resolve) => {
    const payload = call.body === undefined ? null : Buffer.from(JSON.stringify(call.body));
    const failed = (error: Error): void => resolve(trouble(error.message));
    const request = (endpoint.protocol === 'https:' ? https : http).request(
      new URL(call.path, endpoint),
      {
        ...{ agent, method: call.method, signal },
        headers: {
          ...call.headers,
          ...(payload === null
            ? {}
            : { 'content-type': 'application/json', 'content-length': payload.length }),
        },
      },
      (response) => collect(response, resolve, failed),
    );
    const late = setTimeout(
      () => request.destroy(new Error(`no answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
    request.on('error', failed);
    request.on('close', () => clearTimeout(late));
    request.end(payload ?? undefined);
  });
}

function collect(
  response: http.IncomingMessage,
  resolve: (reply: Reply) => void,
  failed: (error: Error) => void,
): void {
  const chunks: Buffer[] = [];
  let size = 0;
  response.on('data', (chunk: Buffer) => {
    size += chunk.length;
    chunks.push(chunk);
    if (size > MAX_BODY_BYTES) response.destroy(new Error('the answer is too large'));
  });
  response.on('error', failed);
  response.on('close', () => failed(new Error('the answer was cut off')));
  response.on('end', () => {
    resolve({
      kind: 'reply',
      status: response.statusCode ?? 0,
      body: Buffer.concat(chunks),
      header: (name) => {
        const value = response.headers[name];
        return Array.isArray(value) ? value[0] : value;
      },
    });
  });
}
