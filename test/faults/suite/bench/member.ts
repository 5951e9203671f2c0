/** One `muster serve` process of the bench, between a port for agents and a proxy to its database. */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startNode, type TestProcess } from '../../../support/processes.ts';
import { startProxy, type DatabaseProxy } from '../wire/proxy.ts';
import { freePort } from '../../../../src/cli/dev/free-port.ts';

export interface MemberOptions {
  readonly name: string;
  /** The compiled product: `dist`, or a mutant of it. */
  readonly dist: string;
  /** Where the database is; the process reaches it through its proxy. */
  readonly databaseUrl: URL;
  readonly source: string;
  readonly trustFile: string;
  /** For its clock. */
  readonly dir: string;
  /** Over those that every member has. */
  readonly flags?: readonly string[];
}

const PRELOADED = ['clock-shift.mjs', 'collect-garbage.mjs'].flatMap((name) => [
  '--import',
  fileURLToPath(new URL(name, import.meta.url)),
]);
/** A second or two; a machine that does much else takes its time. */
const READY_WITHIN_MS = 90_000;
/** Of some hundred MB; the signal is taken before a request that comes later. */
const COLLECTING_MS = 100;
/** Kept of what it logs: enough for a failure to be understood. */
const LOG_CHARS = 200_000;

export class Member {
  readonly name: string;
  readonly port: number;
  readonly proxy: DatabaseProxy;
  private readonly options: MemberOptions;
  private readonly clockFile: string;
  private process: TestProcess | null = null;
  private said = '';

  private constructor(options: MemberOptions, port: number, proxy: DatabaseProxy) {
    this.options = options;
    this.name = options.name;
    this.port = port;
    this.proxy = proxy;
    this.clockFile = path.join(options.dir, `${options.name}.clock`);
  }

  static async create(options: MemberOptions): Promise<Member> {
    const proxy = await startProxy(Number(options.databaseUrl.port));
    const member = new Member(options, await freePort(), proxy);
    member.shiftClock(0);
    return member;
  }

  get log(): string {
    return this.said;
  }

  get pid(): number | null {
    return this.isUp ? (this.process?.pid ?? null) : null;
  }

  get isUp(): boolean {
    return this.process !== null && !hasExited(this.process);
  }

  /** Starts it unless it runs; another build of the product than it had, for an upgrade. */
  start(dist = this.options.dist): void {
    if (this.isUp) return;
    const { source, trustFile, flags: own = [] } = this.options;
    const databaseUrl = new URL(this.options.databaseUrl);
    databaseUrl.port = String(this.proxy.port);
    const flags = [
      ...['serve', '--replica', this.name, '--listen-port', String(this.port)],
      ...['--roles', 'api,leader,workers', '--dev-identity', '--drain-delay-seconds', '0'],
      ...['--source', source, '--trust-file', trustFile, '--poll-seconds', '1'],
      ...['--tick-seconds', '1', ...own],
    ];
    const child = startNode([...PRELOADED, path.join(dist, 'cli/muster.js'), ...flags], {
      env: { MUSTER_DATABASE_URL: databaseUrl.href, FAULT_CLOCK_FILE: this.clockFile },
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (data: Buffer) => {
        this.said = (this.said + data.toString()).slice(-LOG_CHARS);
      });
    }
    this.process = child;
  }

  async untilReady(): Promise<void> {
    const until = Date.now() + READY_WITHIN_MS;
    while (!(await this.isReady())) {
      if (!this.isUp) throw new Error(`${this.name} ended:\n${tail(this.said)}`);
      if (Date.now() > until) throw new Error(`${this.name} is not ready:\n${tail(this.said)}`);
      await delay(20);
    }
  }

  /** What is left of its heap is in use then. */
  async collectGarbage(): Promise<void> {
    this.process?.kill('SIGUSR2');
    await delay(COLLECTING_MS);
  }

  /** Sends a signal; resolves when it has gone, if it is one that ends it. */
  async signal(signal: 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGCONT'): Promise<void> {
    const child = this.process;
    if (child === null || hasExited(child)) return;
    const gone = signal === 'SIGKILL' || signal === 'SIGTERM' ? once(child, 'exit') : null;
    child.kill(signal);
    await gone;
  }

  shiftClock(ms: number): void {
    writeFileSync(this.clockFile, String(ms));
  }

  async close(): Promise<void> {
    await this.signal('SIGKILL');
    await this.proxy.close();
  }

  private async isReady(): Promise<boolean> {
    try {
      const signal = AbortSignal.timeout(2_000);
      return (await fetch(`http://127.0.0.1:${this.port}/readyz`, { signal })).ok;
    } catch {
      return false;
    }
  }
}

function hasExited(child: TestProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function tail(text: string): string {
  return text.split('\n').slice(-15).join('\n');
}
