/** The fault suite must leave no socket open behind, or its run never ends by itself. */
import { once } from 'node:events';
import net from 'node:net';
import { getActiveResourcesInfo } from 'node:process';
import { test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { reset } from './suite/wire/reset.ts';

const openSockets = (): number =>
  getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;

test('a socket that is sending its end is reset without a trace', async () => {
  const server = net.createServer((socket) => socket.resume()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const before = openSockets();
  const socket = net.connect({ port: address.port, host: '127.0.0.1' });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.end();
  reset(socket);
  await eventually(openSockets).toBe(before);
  server.close();
});
