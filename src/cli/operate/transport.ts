/**
 * One request to the control plane, by Node's own HTTP: its `fetch` takes neither an authority nor a client's
 * certificate. Nothing is redirected: a token is for the address that it was given for.
 */
import http from 'node:http';
import https from 'node:https';
import { Readable } from 'node:stream';

/** Whom to believe that it is the control plane, and by which certificate to prove who asks; PEM. */
export interface ClientTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface Sent {
  readonly method?: string;
  readonly body?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** Answers without a body, of which a `Response` must be told. */
const EMPTY: ReadonlySet<number> = new Set([204, 205, 304]);

/** Rejects when nothing is answered. */
export function send(url: string, { body, ...options }: Sent, tls: ClientTls): Promise<Response> {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const sent = { ...options, ...tls, headers: { ...options.headers, ...length } };
    const request = url.startsWith('https:') ? https.request(url, sent) : http.request(url, sent);
    request.on('error', reject);
    request.on('response', (answer) => {
      resolve(responseOf(answer));
    });
    request.end(body);
  });
}

function responseOf(answer: http.IncomingMessage): Response {
  const { statusCode: status = 0, headers } = answer;
  const pairs = Object.entries(headers).flatMap(([name, value]) =>
    [value ?? []].flat().map((one): [string, string] => [name, one]),
  );
  const body = EMPTY.has(status) ? null : Readable.toWeb(answer);
  if (body === null) answer.resume();
  return new Response(body, { status, headers: pairs });
}
