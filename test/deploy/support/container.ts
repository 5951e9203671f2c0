/**
 * What a container would run, run here: its entry point, arguments and environment, with only the places
 * exchanged that a container has for itself (addresses, ports, mounted files).
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { startNode, type TestProcess } from '../../support/processes.ts';

const OK = '200';
/** A third of what a test has, so that what it waits for in vain is told. A container takes some two seconds on two cores. */
const PATIENCE_MS = 40_000;
/** The kubelet's own. */
const PROBE_MS = 1_000;
const LATE = Symbol('late');

/** From the Dockerfile, so that a container without a command of its own does what the image does. */
export function imageDefaults(): {
  readonly entrypoint: string[];
  readonly command: string[];
  readonly healthcheck: string[];
  readonly user: string;
  readonly env: Readonly<Record<string, string>>;
} {
  const dockerfile = readFileSync('Dockerfile', 'utf8');
  const list = (pattern: RegExp): string[] =>
    JSON.parse(pattern.exec(dockerfile)?.[1] ?? '[]') as string[];
  return {
    entrypoint: list(/^ENTRYPOINT (\[.*\])$/m),
    command: list(/^CMD (\[.*\])$/m),
    healthcheck: list(/^HEALTHCHECK .*CMD (\[.*\])$/m),
    user: /^USER (.*)$/m.exec(dockerfile)?.[1] ?? 'root',
    env: Object.fromEntries(
      [...dockerfile.matchAll(/^ENV (\w+)=(.*)$/gm)].map(([, name = '', value = '']) => [
        name,
        value,
      ]),
    ),
  };
}

export interface Container {
  readonly process: TestProcess;
  log(): string;
  /** Its exit code, once it ended by itself; rejects with what it said when it does not. */
  exit(): Promise<number | null>;
}

/** `command` as in an image: the first word is node. */
export function runContainer(
  command: readonly string[],
  env: Readonly<Record<string, string>>,
): Container {
  const [node, ...args] = command;
  if (node !== 'node') throw new Error(`the image has node, not ${String(node)}`);
  const child = startNode(args, { env });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data: Buffer) => (log += data.toString()));
  }
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  const said = (): string => `${command.join(' ')} said:\n${log}`;
  return {
    process: child,
    log: () => log,
    exit: () => inTime(exited, () => `it has not ended in ${String(PATIENCE_MS)} ms; ${said()}`),
  };
}

/** Rejects with `why` when `promise` takes longer than a test should wait without saying for what. */
async function inTime<T>(promise: Promise<T>, why: () => string): Promise<T> {
  const answer = await Promise.race([promise, delay(PATIENCE_MS, LATE, { ref: false })]);
  if (answer === LATE) throw new Error(why());
  return answer;
}

/** As the kubelet asks: whoever answers, by whatever certificate, within a second. */
function asked(url: string): Promise<string> {
  const scheme = url.startsWith('https:') ? https : http;
  const options = { rejectUnauthorized: false, agent: false, timeout: PROBE_MS } as const;
  return new Promise((resolve) => {
    const request = scheme.get(url, options, (answer) => {
      void text(answer).then(
        (body) => {
          resolve(answer.statusCode === 200 ? OK : `${String(answer.statusCode)} ${body}`);
        },
        (error: unknown) => {
          resolve(String(error));
        },
      );
    });
    request.on('timeout', () => request.destroy(new Error(`nothing in ${String(PROBE_MS)} ms`)));
    request.on('error', (error) => {
      resolve(String(error));
    });
  });
}

/** Waits for a 200, as a probe does; fails when the container ends meanwhile, or with what it answered last. */
export async function untilOk(url: string, container: Container): Promise<void> {
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    if (container.process.exitCode !== null) throw new Error(`it ended:\n${container.log()}`);
    const answer = await asked(url);
    if (answer === OK) return;
    if (performance.now() > until)
      throw new Error(`${url} answers ${answer}; it said:\n${container.log()}`);
    await delay(50);
  }
}
