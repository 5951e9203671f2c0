/**
 * What a container would run, run here: its entry point, arguments and environment, with only the places
 * exchanged that a container has for itself (addresses, ports, mounted files).
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { startNode, type TestProcess } from '../../support/processes.ts';

/** From the Dockerfile, so that a container without a command of its own does what the image does. */
export function imageDefaults(): {
  readonly entrypoint: string[];
  readonly command: string[];
  readonly healthcheck: string[];
  readonly user: string;
  readonly env: Readonly<Record<string, string>>;
} {
  const text = readFileSync('Dockerfile', 'utf8');
  const list = (pattern: RegExp): string[] =>
    JSON.parse(pattern.exec(text)?.[1] ?? '[]') as string[];
  return {
    entrypoint: list(/^ENTRYPOINT (\[.*\])$/m),
    command: list(/^CMD (\[.*\])$/m),
    healthcheck: list(/^HEALTHCHECK .*CMD (\[.*\])$/m),
    user: /^USER (.*)$/m.exec(text)?.[1] ?? 'root',
    env: Object.fromEntries(
      [...text.matchAll(/^ENV (\w+)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value]),
    ),
  };
}

export interface Container {
  readonly process: TestProcess;
  log(): string;
  /** Its exit code, once it ended by itself. */
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
  return { process: child, log: () => log, exit: () => exited };
}

/** As the kubelet asks: whoever answers, by whatever certificate. */
function answers(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const scheme = url.startsWith('https:') ? https : http;
    const request = scheme.get(url, { rejectUnauthorized: false, agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    request.on('error', () => {
      resolve(false);
    });
  });
}

/** Waits for a 200, as a probe does; fails when the container ends meanwhile. */
export async function untilOk(url: string, container: Container): Promise<void> {
  for (;;) {
    if (container.process.exitCode !== null) throw new Error(`it ended:\n${container.log()}`);
    if (await answers(url)) return;
    await delay(50);
  }
}
