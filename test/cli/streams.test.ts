/** Following the log: through a replica that froze, and without obeying what agents wrote into it. */
import { afterEach, describe, expect, it } from 'vitest';
import { createClient, type Client } from '../../src/cli/operate/client.ts';
import { harmless } from '../../src/cli/operate/harmless.ts';
import { runNoun } from '../../src/cli/operate/operate.ts';
import type { Io } from '../../src/cli/io.ts';
import { fakeServer, type FakeServer } from './fake-server.ts';
import { run } from './support.ts';

const NO_PROOF = {
  ...{ token: null, tokenFrom: 'nowhere', tokenFile: null },
  tlsFiles: { ca: null, cert: null, key: null },
};
const INCARNATION = '0b0f7c1e-93a4-4ef5-8a53-6a1f4e6f8d20';
const PATH = '/v1/events/stream';
const SILENT_MS = 200;

const servers: FakeServer[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function served(...given: Parameters<typeof fakeServer>): Promise<FakeServer> {
  const server = await fakeServer(...given);
  servers.push(server);
  return server;
}

function clientOf({ url }: FakeServer): Client {
  const config = { url, from: 'a test', user: 'ada', ...NO_PROOF };
  const { signal } = new AbortController();
  const limits = { forPeople: true, signal, silentMs: SILENT_MS };
  return createClient(config, { token: null, tls: {} }, limits);
}

async function read(client: Client, signal: AbortSignal, on: (line: string) => void) {
  for await (const line of client.lines(PATH, {}, signal)) on(line);
}

describe('a stream that says nothing more', () => {
  it('has broken off, when nothing comes for longer than the server is ever silent', async () => {
    const server = await served((_url, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(': here\n\n');
      return null;
    });
    const lines: string[] = [];
    const reading = read(clientOf(server), new AbortController().signal, (one) => lines.push(one));
    await expect(reading).rejects.toThrow(/broke off \(nothing was heard/);
    expect(lines).toContain(': here');
  });

  it('has broken off, when not even its head comes', async () => {
    const server = await served(() => null);
    const reading = read(clientOf(server), new AbortController().signal, () => undefined);
    await expect(reading).rejects.toThrow(/broke off \(nothing was heard/);
  });

  it('goes on for as long as something is said, and ends without a word at the signal', async () => {
    const server = await served((_url, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const timer = setInterval(() => response.write(':\n\n'), SILENT_MS / 8);
      response.on('close', () => {
        clearInterval(timer);
      });
      return null;
    });
    const stop = new AbortController();
    let heard = 0;
    await read(clientOf(server), stop.signal, (line) => {
      if (line === ':' && (heard += 1) === 16) stop.abort();
    });
    expect(heard).toBe(16);
  });
});

describe('what agents and people wrote', () => {
  it('is neither obeyed by a terminal nor turns around what stands after it', () => {
    const marks = ['\u001b', '\u009b', '\u061c', '\u200e', '\u200f', '\u202a', '\u202e', '\u2066'];
    for (const mark of marks) expect(harmless({ a: [`x${mark}y`] })).toEqual({ a: ['x\ufffdy'] });
    expect(harmless({ a: 'naïve 漢字 שלום', n: 1 })).toEqual({ a: 'naïve 漢字 שלום', n: 1 });
  });

  it('is harmless in rows that come while the log is followed, too', async () => {
    const event = { kind: 'ProbeResult', probeName: 'p\u001b[2J\u202e', status: 'fail' };
    const row = {
      ...{ eventId: `${INCARNATION}:1`, seq: 1, epoch: 1, kind: 'agent_event', correlationId: 'c' },
      ...{ ts: '2026-05-16T01:27:01.000Z', payload: { v: 1, event, verdict: 'applied' } },
    };
    let streams = 0;
    const server = await served((url, response) => {
      if (url.pathname !== PATH) return { events: [], more: false, cursor: `${INCARNATION}:0` };
      streams += 1;
      // So the command ends: what it follows is there no more.
      if (streams > 1) return undefined;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(`id: ${INCARNATION}:1\nevent: log\ndata: ${JSON.stringify(row)}\n\n`);
      return null;
    });
    const env = { MUSTER_URL: server.url };
    const follow = (args: string[], io: Io): Promise<number> => runNoun('events', args, io, env);
    const { stdout, stderr } = await run(follow, 'tail', '-f', '-n', '1');
    expect(stdout, stderr).toContain('p\ufffd[2J\ufffd');
    expect(stdout).not.toMatch(/[\u001b\u202e]/);
  });
});
