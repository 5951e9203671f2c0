/** One client over TLS: its own connection, kept open between questions unless told otherwise. */
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { FastifyInstance } from 'fastify';
import type { Identification } from './certificates.ts';

export interface Answer {
  readonly status: number;
  /** Of problem+json; empty for anything else. */
  readonly code: string;
  readonly detail: string;
  readonly body: unknown;
  readonly headers: NodeJS.Dict<string | string[]>;
  /** The connection had carried a request before. */
  readonly reused: boolean;
  /** The TLS session was one of an earlier connection. */
  readonly resumed: boolean;
}

export interface Question {
  readonly method?: 'GET' | 'POST' | 'HEAD';
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: unknown;
}

export interface TlsClient {
  ask(path: string, question?: Question): Promise<Answer>;
  close(): void;
}

export interface TlsClientOptions extends https.AgentOptions {
  /** The authority of the server. */
  readonly ca: string;
  readonly pair?: Identification | null;
}

export function portOf(app: FastifyInstance): number {
  return (app.server.address() as AddressInfo).port;
}

export function tlsClient(port: number, { pair, ...options }: TlsClientOptions): TlsClient {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1, ...options });
  const own = pair == null ? {} : { cert: pair.cert, key: pair.key };
  return {
    close: () => agent.destroy(),
    ask: (path, { method = 'GET', headers = {}, body } = {}) =>
      new Promise((resolve, reject) => {
        const payload = body === undefined ? undefined : JSON.stringify(body);
        const request = https.request({
          ...{ host: '127.0.0.1', port, path, method, agent, ...own },
          headers: {
            ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
            ...(headers as Record<string, string>),
          },
        });
        request.on('error', reject);
        request.on('response', (response) => {
          const chunks: Buffer[] = [];
          const { reusedSocket: reused } = request;
          const { socket } = response;
          const resumed = socket instanceof TLSSocket && socket.isSessionReused();
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const parsed = parse(Buffer.concat(chunks).toString());
            const { statusCode: status = 0 } = response;
            resolve({ status, ...parsed, headers: response.headers, reused, resumed });
          });
        });
        request.end(payload);
      }),
  };
}

function parse(text: string): Pick<Answer, 'body' | 'code' | 'detail'> {
  let body: unknown = text;
  try {
    body = JSON.parse(text);
  } catch {
    // Not all answers are JSON.
  }
  const { code = '', detail = '' } = (typeof body === 'object' && body !== null ? body : {}) as {
    code?: string;
    detail?: string;
  };
  return { body, code, detail };
}
