/** One HTTP request, as an agent or an operator makes it: answered, or not. Nothing is repeated here. */
import http from 'node:http';
import type { Exchange } from './history.ts';

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

export interface Caller {
  /** Null: no whole answer came within the time that an agent waits. */
  call(request: CallRequest): Promise<Answer | null>;
  close(): void;
}

export interface CallRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** As the development header has it: `agent:HOST` or `operator:NAME`. */
  readonly as: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: object;
  readonly timeoutMs?: number;
}

/** The answer, and what a history keeps of it. */
export async function exchange(
  caller: Caller,
  request: CallRequest,
): Promise<Exchange & { readonly answer: Answer | null }> {
  const sentAt = performance.now();
  const answer = await caller.call(request);
  return { answer, status: answer?.status ?? null, sentAt, answeredAt: performance.now() };
}

/** Agents give up after 10 s; half of it shows the same and keeps a run short. */
const TIMEOUT_MS = 5_000;
/** One request in so many closes its connection, so that a process that came back gets its share again. */
const CLOSE_EVERY = 25;

export function createCaller(port: number, timeoutMs = TIMEOUT_MS): Caller {
  const agent = new http.Agent({ keepAlive: true });
  let calls = 0;
  return {
    call: (request) => {
      calls += 1;
      return send(agent, port, { timeoutMs, ...request }, calls % CLOSE_EVERY === 0);
    },
    close: () => {
      agent.destroy();
    },
  };
}

function send(
  agent: http.Agent,
  port: number,
  { method, path, as, headers: own = {}, body, timeoutMs = TIMEOUT_MS }: CallRequest,
  last: boolean,
): Promise<Answer | null> {
  return new Promise((resolve) => {
    const text = body === undefined ? '' : JSON.stringify(body);
    const headers = {
      'x-nixfleet-protocol': '1',
      'x-muster-dev-identity': as,
      ...own,
      ...(last ? { connection: 'close' } : {}),
      ...(body === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
    };
    const request = http.request({ agent, port, host: '127.0.0.1', method, path, headers });
    const late = setTimeout(() => request.destroy(), timeoutMs);
    const finish = (answer: Answer | null): void => {
      clearTimeout(late);
      resolve(answer);
    };
    request.on('response', (response) => {
      let said = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (said += chunk));
      response.on('error', () => undefined); // close follows
      response.on('close', () => {
        const { statusCode: status = 0, complete } = response;
        finish(complete ? { status, headers: response.headers, body: said } : null);
      });
    });
    request.on('error', () => {
      finish(null);
    });
    request.end(text);
  });
}
