/** A control plane that answers what a test says: fleets of thousands, in no time. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface FakeServer {
  readonly url: string;
  /** Paths that were asked for, with their queries. */
  readonly asked: readonly string[];
  close(): void;
}

/** `answer`: the body, or undefined for 404; it may take the response over by itself, and returns null then. */
export async function fakeServer(
  answer: (url: URL, response: ServerResponse) => object | undefined | null,
): Promise<FakeServer> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://fake');
    asked.push(`${url.pathname}${url.search}`);
    const body = answer(url, response);
    if (body === null) return;
    if (body === undefined) {
      const detail = `there is nothing at ${url.pathname}`;
      const problem = {
        type: 'about:blank',
        title: 'Not Found',
        status: 404,
        code: 'not-found',
        detail,
      };
      response.writeHead(404, { 'content-type': 'application/problem+json' });
      response.end(JSON.stringify(problem));
    } else response.end(JSON.stringify(body));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${String(port)}`,
    asked,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
