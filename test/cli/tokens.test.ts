/** `muster token` and `muster whoami`: the first token through the database, the others by HTTP. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runNoun } from '../../src/cli/operate/operate.ts';
import { createTestDatabase } from '../support/database.ts';
import { startHttpServer, until, type HttpServer } from '../support/http-server.ts';
import { run, type Outcome } from './support.ts';

let url: string;
let server: HttpServer;

beforeAll(async () => {
  ({ url } = await createTestDatabase());
  server = await startHttpServer(url, { MUSTER_DEV_IDENTITY: 'false' });
  await until(
    async () => (await server.call('GET', '/readyz')).status,
    (status) => status === 200,
  );
}, 60_000);
afterAll(() => server.stop());

function muster(args: readonly string[], token?: string): Promise<Outcome> {
  const [noun = '', ...rest] = args;
  const env = { MUSTER_URL: server.url, ...(token === undefined ? {} : { MUSTER_TOKEN: token }) };
  return run((given, io) => runNoun(noun, given, io, env), ...rest);
}

const TOKEN = /^muster_[0-9a-f]{16}_[0-9a-f]{64}\n$/;
const bootstrap = (name: string) => [
  ...['token', 'create', name, '--role', 'admin', '-r', 'installation'],
  ...['--bootstrap', '--database-url', url],
];

describe('the first token', () => {
  it('is made through the database, alone on stdout, and makes the others by HTTP', async () => {
    const first = await muster(bootstrap('root'));
    expect([first.code, first.stdout]).toEqual([0, expect.stringMatching(TOKEN)]);
    expect(first.stderr).toContain('in force');
    const admin = first.stdout.trim();
    expect((await muster(['whoami'], admin)).stdout).toMatch(/^root: admin, by token, until 20/);
    const made = await muster(
      ['token', 'create', 'ci', '--role', 'operator', '--expires', '2d', '-r', 'pipeline'],
      admin,
    );
    expect([made.code, made.stdout]).toEqual([0, expect.stringMatching(TOKEN)]);
    const list = await muster(['token', 'list'], admin);
    expect(list.stdout).toMatch(/ci +operator +all +20\S+ +never +token:root/);
    expect(list.stdout).toMatch(/root +admin +all +20\S+ +\S+ +database:/);
    const denied = await muster(['token', 'list'], made.stdout.trim());
    expect([denied.code, denied.stderr]).toEqual([3, expect.stringContaining('admin')]);
    expect((await muster(['token', 'revoke', 'ci', '-r', 'done'], admin)).code).toBe(0);
    expect((await muster(['token', 'revoke', 'ci', '-r', 'done'], admin)).code).toBe(1);
  });

  it('is refused as by HTTP: a name in force is taken', async () => {
    const again = await muster(bootstrap('root'));
    expect([again.code, again.stdout]).toEqual([1, '']);
    expect(again.stderr).toContain('a token named root is in force');
  });

  it('says what a wrong request lacks, before anything is sent', async () => {
    const attempts = [
      [['token', 'create', 'x', '-r', 'y'], /--role/],
      [['token', 'create', 'x', '--role', 'viewer'], /reason/],
      [
        ['token', 'create', 'x y', '--role', 'viewer', '-r', 'y'],
        /^muster: token\.name: .* 1 to 128 letters, digits/,
      ],
      [['token', 'create', 'x', '--role', 'viewer', '-r', 'y', '--expires', '999d'], /366d/],
      [['token', 'create', 'x', '--role', 'viewer', '-r', 'y', '--channels', 'A B'], /channels/],
    ] as const;
    for (const [args, problem] of attempts) {
      const { code, stderr, stdout } = await muster(args);
      expect([args.join(' '), code, stdout]).toEqual([args.join(' '), 2, '']);
      expect(stderr).toMatch(problem);
    }
  });

  it('is not made where the database does not answer', async () => {
    const away = 'postgres://nobody@127.0.0.1:1/none';
    const args = ['token', 'create', 'x', '--role', 'admin', '-r', 'y', '--bootstrap'];
    const { code, stdout } = await muster([...args, '--database-url', away]);
    expect([code, stdout]).toEqual([4, '']);
  });

  it('is not made by a URL that cannot be read, which is not shown', async () => {
    const args = ['token', 'create', 'x', '--role', 'admin', '-r', 'y', '--bootstrap'];
    const told = await muster([...args, '--database-url', 'postgres://muster:a/b@db/muster']);
    expect([told.code, told.stdout]).toEqual([2, '']);
    expect(told.stderr).toMatch(/MUSTER_DATABASE_URL cannot be read as a URL; percent-encode/);
    expect(told.stderr).not.toContain('a/b');
  });
});
