/** URLs of databases whose password is not encoded: refused in a sentence, by every command, without showing them. */
import { expect, it } from 'vitest';
import { loadConfig, loadDatabaseConfig } from '../../src/config.ts';
import { isReadable, leadsElsewhere, parameterProblem } from '../../src/config/database-url.ts';
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

const SEVERAL = [
  'postgres://muster:p@a,b/muster',
  'postgres://a:5432,b:5433/muster',
  'postgres://muster:p@a%2Cb/muster',
  'postgres://muster:p@[::1],b/muster',
  'postgres://muster:p@a/muster?sslmode=require&target_session_attrs=read-write',
  'postgres://muster:p@a,b/muster?target_session_attrs=primary',
];

it.each(SEVERAL)('refuses %s, whose sessions would be spread over primary and standbys', (url) => {
  const said = (variable: string): unknown =>
    expect.stringMatching(new RegExp(`^${variable} names several hosts .* leads to the primary`));
  expect(loadDatabaseConfig([], { MUSTER_DATABASE_URL: url })).toMatchObject({
    problems: [said('MUSTER_DATABASE_URL')],
  });
  const leader = loadConfig(['--roles', 'api', '--strict', 'false'], {
    ...{ MUSTER_DATABASE_URL: urlWith('ok'), MUSTER_LEADER_DATABASE_URL: url },
  });
  expect(leader).toMatchObject({ problems: [said('MUSTER_LEADER_DATABASE_URL')] });
});

it.each([[], ['--roles', 'api', '--strict', 'false']])(
  'refuses what libpq takes from the environment for the same: %j',
  (...flags) => {
    const env = { MUSTER_DATABASE_URL: urlWith('ok'), PGTARGETSESSIONATTRS: 'read-write' };
    const loaded = flags.length === 0 ? loadDatabaseConfig([], env) : loadConfig(flags, env);
    expect(loaded).toMatchObject({
      problems: [expect.stringMatching(/^PGTARGETSESSIONATTRS .*; unset it/)],
    });
  },
);

it.each([
  urlWith('a,b'),
  'postgres://a,b:p@db/muster',
  'postgres://muster@db/a,b?application_name=a,b',
  'postgres://muster@[::1]:5432/muster?sslrootcert=/target_session_attrs=/c.pem',
])('takes %s for one host', (url) => {
  expect(leadsElsewhere(url)).toBe(false);
});

it.each([
  ['?channel_binding=require', 'has the parameter channel_binding'],
  ['?SSLMODE=verify-full', 'has the parameter SSLMODE'],
  ['?database=other', 'has the parameter database'],
  ['?Channel_Binding=require', 'has the parameter Channel_Binding'],
  ['?sslmode=require&sslcert=/c.pem&sslkey=/k.pem', 'has the parameter sslcert'],
  ['?sslmode=verify_full', 'has an sslmode that there is not; it is one of disable, allow,'],
])('says what it does not take: %s', (query, problem) => {
  const url = urlWith('ok') + query;
  const said = expect.stringContaining(`MUSTER_DATABASE_URL ${problem}`) as unknown;
  expect(loadDatabaseConfig([], { MUSTER_DATABASE_URL: url })).toMatchObject({ problems: [said] });
});

it.each(['', '?sslmode=verify-full&sslrootcert=system', '?application_name=x&work_mem=64MB'])(
  'takes the parameters %s',
  (query) => {
    expect(parameterProblem('MUSTER_DATABASE_URL', urlWith('ok') + query)).toBeNull();
  },
);

const COMMANDS = [
  ['migrate', migrate, []],
  ['doctor', doctor, []],
  ['restored', restored, []],
  ['log', log, ['verify']],
  ['replay', replay, ['--verify']],
  ['serve', serve, ['--roles', 'api', '--strict', 'false']],
] as const;

it.each(COMMANDS)('is told by muster %s', async (_name, command, args) => {
  const { code, stdout, stderr } = await run(command, ...args, '--database-url', urlWith('a/b'));
  expect(code).toBe(2);
  expect(stderr).toContain('MUSTER_DATABASE_URL cannot be read as a URL; percent-encode');
  expect(stdout + stderr).not.toContain('a/b');
});

it.each(COMMANDS)('several hosts are refused by muster %s', async (_name, command, args) => {
  const [url = ''] = SEVERAL;
  const { code, stderr } = await run(command, ...args, '--database-url', url);
  expect([code, stderr]).toEqual([2, expect.stringContaining('names several hosts')]);
});
