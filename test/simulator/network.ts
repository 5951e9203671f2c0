/** Between agents and replicas: requests and answers are lost, repeated, late and overtaken. */
import { isUtf8 } from 'node:buffer';
import {
  POLL_TIMEOUT_MS,
  REQUEST_TIMEOUT_MS,
  type Call,
  type Carrier,
  type Reply,
} from '../../src/agent/http-control-plane.ts';
import type { Trouble } from '../../src/agent/control-plane.ts';
import type { Random } from '../../src/agent/clock.ts';
import type { Millis } from '../../src/reducer/time.ts';
import type { Process, World } from './process.ts';
import type { Replica, Request, Response } from './replica.ts';

export interface Server {
  readonly process: Process;
  readonly replica: Replica;
}

export class Network {
  /** No request reaches a server before then. */
  awayUntil: Millis = 0;
  private readonly world: World;
  private readonly servers: () => readonly Server[];
  private readonly random: Random;

  /** `servers` are those that the load balancer knows of now. */
  constructor(world: World, servers: () => readonly Server[]) {
    this.world = world;
    this.servers = servers;
    this.random = world.faults.random('network');
  }

  carrier(hostname: string, isOnline: () => boolean): Carrier {
    const send = (call: Call, timeoutMs: Millis, signal: AbortSignal) =>
      this.send(requestOf(hostname, call), timeoutMs, isOnline, signal);
    return {
      short: (call, signal) => send(call, REQUEST_TIMEOUT_MS, signal),
      poll: (call, signal) => send(call, POLL_TIMEOUT_MS, signal),
    };
  }

  private send(
    request: Request,
    timeoutMs: Millis,
    isOnline: () => boolean,
    signal: AbortSignal,
  ): Promise<Reply | Trouble> {
    const { scheduler, faults } = this.world;
    return new Promise((resolve) => {
      if (signal.aborted || !isOnline()) {
        scheduler.after(signal.aborted ? 0 : 100, () => resolve(trouble('no network')));
        return;
      }
      const exchange = { isOpen: true, server: null as Server | null };
      const end = (reply: Reply | Trouble): void => {
        if (!exchange.isOpen) return;
        exchange.isOpen = false;
        cancel();
        signal.removeEventListener('abort', onAbort);
        resolve(reply);
      };
      const giveUp = (reason: string): void => {
        if (exchange.isOpen) exchange.server?.replica.abandoned(request);
        end(trouble(reason));
      };
      const onAbort = (): void => giveUp('aborted');
      const cancel = scheduler.after(timeoutMs, () => giveUp('no answer'));
      signal.addEventListener('abort', onAbort, { once: true });
      const arrive = (isCopy: boolean): void => {
        const server = this.balance();
        if (server === undefined) {
          if (!isCopy) giveUp('refused');
          return;
        }
        if (!isCopy) exchange.server = server;
        this.deliver(server, request, (response) => {
          if (isCopy || faults.strikes('answer-lost')) return;
          scheduler.after(this.delay(), () => {
            if (isOnline()) end(this.replyOf(response, request));
          });
        });
      };
      if (!faults.strikes('request-lost')) scheduler.after(this.delay(), () => arrive(false));
      if (faults.strikes('request-repeated')) {
        const later = 20_000 * faults.chance('request-repeated');
        scheduler.after(this.delay() + later, () => arrive(true));
      }
    });
  }

  private deliver(server: Server, request: Request, answer: (response: Response) => void): void {
    server.process.deliver(() => {
      server.replica.handle(request).then(answer, (error: unknown) => {
        const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
        this.world.db.onPoison(`${request.path} failed: ${text}`);
      });
    });
  }

  private balance(): Server | undefined {
    if (this.world.scheduler.now < this.awayUntil) return undefined;
    const alive = this.servers().filter(({ process }) => process.isAlive);
    return alive[Math.floor(this.random() * alive.length)];
  }

  private delay(): Millis {
    const { faults } = this.world;
    const usual = 1 + 10 * this.random();
    return faults.strikes('message-late') ? usual + 6_000 * faults.chance('message-late') : usual;
  }

  private replyOf(response: Response, { path }: Request): Reply {
    const { faults } = this.world;
    const isDispatch = path.startsWith('/v1/agent/dispatch') && response.status === 200;
    const body =
      isDispatch && faults.strikes('dispatch-tampered') ? tampered(response.body) : response.body;
    return {
      kind: 'reply',
      status: response.status,
      body,
      header: (name) => response.headers[name],
    };
  }
}

/** Somebody in the middle, or a control plane that was taken over. */
function tampered(body: Buffer): Buffer {
  if (!isUtf8(body)) return body;
  return Buffer.from(
    body.toString('utf8').replace(/"target_closure":"[^"]*"/, '"target_closure":"evil"'),
  );
}

function requestOf(hostname: string, { method, path, headers, body }: Call): Request {
  return { hostname, method, path, headers: headers ?? {}, body: JSON.stringify(body ?? null) };
}

function trouble(reason: string): Trouble {
  return { kind: 'trouble', reason, retryAfterMs: null };
}
