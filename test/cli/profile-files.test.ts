/** Profiles as editors and managers of secrets leave them: what is wrong is named, and nothing waits for ever. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runNoun } from '../../src/cli/operate/operate.ts';
import { fakeServer, type FakeServer } from './fake-server.ts';

const BOM = '\ufeff';
let home: string;
let server: FakeServer;

beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'muster-profile-'));
  await mkdir(at(''));
  server = await fakeServer(() => ({ channels: [] }));
});
afterEach(async () => {
  server.close();
  await rm(home, { recursive: true });
});

function at(name: string): string {
  return path.join(home, 'muster', name);
}

async function configure(before = ''): Promise<void> {
  const profiles = { prod: { url: server.url, tokenFile: 'token' } };
  await writeFile(at('config.json'), before + JSON.stringify({ default: 'prod', profiles }));
}

async function list(): Promise<{ readonly code: number; readonly stderr: string }> {
  let stderr = '';
  const io = {
    stdout: { write: () => true },
    stderr: { write: (text: string) => (stderr += text) },
  };
  const code = await runNoun('channel', ['list'], io, { XDG_CONFIG_HOME: home });
  return { code, stderr };
}

it('takes a byte order mark before either', async () => {
  await configure(BOM);
  await writeFile(at('token'), `${BOM}secret\r\n`);
  expect(await list()).toEqual({ code: 0, stderr: '' });
});

it('names the file that is no config', async () => {
  await writeFile(at('config.json'), '{"profiles": {"prod": {}},}');
  const { code, stderr } = await list();
  expect([code, stderr]).toEqual([
    2,
    expect.stringContaining(`muster: the config file ${at('config.json')} is no {"default": NAME`),
  ]);
});

it('names an empty token file, instead of asking without a token', async () => {
  await configure();
  await writeFile(at('token'), '\n');
  const said = `muster: the profile's tokenFile ${at('token')} is empty: put the token there\n`;
  expect(await list()).toEqual({ code: 2, stderr: said });
  expect(server.asked).toEqual([]);
});

it('refuses a pipe, which nobody may ever write to', async () => {
  await configure();
  await promisify(execFile)('mkfifo', [at('token')]);
  const said = `muster: cannot read ${at('token')}: it is no regular file\n`;
  expect(await list()).toEqual({ code: 2, stderr: said });
});
