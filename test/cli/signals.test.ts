/**
 * Commands that wait end on a signal by a handler of theirs, and not by what the kernel does by default: that is nothing
 * for PID 1, which they are in a container. So the exit has a code, and no signal.
 */
import { once } from 'node:events';
import net from 'node:net';
import path from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { freePort } from '../../src/cli/dev/free-port.ts';
import { startNode } from '../support/processes.ts';

const MUSTER = path.resolve('dist/cli/muster.js');

const mutes: net.Server[] = [];
afterEach(() => mutes.splice(0).forEach((mute) => mute.close()));

const urlOf = (port: number): string => `postgres://muster@127.0.0.1:${port}/muster`;

it.each(['SIGTERM', 'SIGINT'] as const)(
  'muster migrate ends on %s while it waits for a database that refuses',
  async (signal) => {
    const child = startNode([MUSTER, 'migrate', '--database-url', urlOf(await freePort())]);
    await once(child.stderr, 'data'); // "trying again"
    const ended = once(child, 'exit');
    child.kill(signal);
    expect(await ended).toEqual([signal === 'SIGTERM' ? 143 : 130, null]);
  },
  20_000,
);

it.each(['migrate', 'migrate --check', 'log verify', 'replay --verify'])(
  'muster %s ends on SIGTERM while a database does not answer',
  async (command) => {
    const mute = net.createServer().listen(0, '127.0.0.1');
    mutes.push(mute);
    await once(mute, 'listening');
    const asked = once(mute, 'connection');
    const { port } = mute.address() as net.AddressInfo;
    const child = startNode([MUSTER, ...command.split(' '), '--database-url', urlOf(port)]);
    const [socket] = (await asked) as [net.Socket];
    socket.on('error', () => undefined);
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    expect(await ended).toEqual([143, null]);
  },
  20_000,
);
