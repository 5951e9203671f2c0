/** URLs of databases whose password is not encoded: refused in a sentence, by every command, without showing them. */
import { expect, it } from 'vitest';
import { loadConfig, loadDatabaseConfig } from '../../src/config.ts';
import { isReadable } from '../../src/config/database-url.ts';
import { run } from '../cli/support.ts';
import { doctor } from '../../src/cli/doctor.ts';
import { log } from '../../src/cli/log.ts';
import { migrate } from '../../src/cli/migrate.ts';
import { replay } from '../../src/cli/replay.ts';
import { restored } from '../../src/cli/restored.ts';
import { serve } from '../../src/cli/serve.ts';

const PASSWORDS = ['a/b', '1/b', '1#b', '1?b', 'a?b', 'a%b', 'a%zz', 'a@b', '1/b@c'];
const urlWith = (password: string): string => `postgres://muster:${password}@db/muster`;

it.each(PASSWORDS)('refuses the password %s', (password) => {
  const env = { MUSTER_DATABASE_URL: urlWith(password) };
  const loaded = loadDatabaseConfig([], env);
  const problems = loaded.ok ? [] : loaded.problems;
  expect(problems).toEqual([expect.stringMatching(/^MUSTER_DATABASE_URL .*percent-encode/)]);
  expect(problems.join()).not.toContain('muster:');
  const leader = loadConfig(['--roles', 'api', '--strict', 'false'], {
    ...{ MUSTER_DATABASE_URL: urlWith('ok'), MUSTER_LEADER_DATABASE_URL: urlWith(password) },
  });
  expect(leader).toMatchObject({
    problems: [expect.stringMatching(/^MUSTER_LEADER_DATABASE_URL .*percent-encode/)],
  });
});

it.each([
  ...PASSWORDS.map((password) => urlWith(encodeURIComponent(password))),
  urlWith('a:b!$&()*+,;=|'),
  'postgres://db/muster',
  'postgresql://muster@[::1]:5432/muster?sslmode=verify-full&sslrootcert=/a@b/c.pem',
  'postgres://muster@a:5432,b:5433/muster',
  'postgres://muster@a%2Cb/muster',
  'postgres://muster:p@%2Fvar%2Frun%2Fpostgresql/muster',
])('takes %s', (url) => {
  expect(isReadable(url)).toBe(true);
});

it.each([
  ['migrate', migrate, []],
  ['doctor', doctor, []],
  ['restored', restored, []],
  ['log', log, ['verify']],
  ['replay', replay, ['--verify']],
  ['serve', serve, ['--roles', 'api', '--strict', 'false']],
] as const)('is told by muster %s', async (_name, command, args) => {
  const { code, stdout, stderr } = await run(command, ...args, '--database-url', urlWith('a/b'));
  expect(code).toBe(2);
  expect(stderr).toContain('MUSTER_DATABASE_URL cannot be read as a URL; percent-encode');
  expect(stdout + stderr).not.toContain('a/b');
});
