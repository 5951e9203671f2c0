/** What a command does when its output cannot be written, and when nobody wants its answer any more. */
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { startNode } from '../support/processes.ts';

const MUSTER = path.resolve('dist/cli/muster.js');

describe('a command', () => {
  it('is of a version, which it tells', async () => {
    const child = startNode([MUSTER, '--version'], { env: {} });
    let said = '';
    child.stdout.on('data', (data: Buffer) => (said += data.toString()));
    expect(await once(child, 'close')).toEqual([0, null]);
    expect(said).toMatch(/^muster \d+\.\d+\.\d+\n$/);
  }, 20_000);

  it('that cannot write what it found says so in a sentence, and does not end well', async () => {
    const full = openSync('/dev/full', 'w');
    const child = spawn(process.execPath, [MUSTER, 'help'], { stdio: ['ignore', full, 'pipe'] });
    let said = '';
    child.stderr?.on('data', (data: Buffer) => (said += data.toString()));
    expect(await once(child, 'close')).toEqual([74, null]);
    expect(said).toMatch(/^muster: cannot write to the standard output \(ENOSPC\); .+\n$/);
    closeSync(full);
  }, 20_000);

  it('ends at once when it is interrupted, however slow the answer is, and names the key of a command', async () => {
    const asked = new EventEmitter();
    const mute = createServer((request) => asked.emit('asked', request.url));
    await once(mute.listen(0, '127.0.0.1'), 'listening');
    const { port } = mute.address() as AddressInfo;
    const env = { MUSTER_URL: `http://127.0.0.1:${String(port)}`, USER: 'ada' };
    for (const [args, words] of [
      [['host', 'list'], /^$/],
      [['fleet', 'pause', '-r', 'x', '--key', 'k1'], /^muster: interrupted; .* --key k1\n$/],
    ] as const) {
      const child = startNode([MUSTER, ...args], { env });
      let said = '';
      child.stderr.on('data', (data: Buffer) => (said += data.toString()));
      await once(asked, 'asked');
      child.kill('SIGINT');
      expect([args, ...((await once(child, 'close')) as unknown[])]).toEqual([args, 130, null]);
      expect(said).toMatch(words);
    }
    mute.closeAllConnections();
    mute.close();
  }, 20_000);
});
