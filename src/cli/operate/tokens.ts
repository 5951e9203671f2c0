/** `muster token …` and `muster whoami`: who may come in, and as what. */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { Value } from '@sinclair/typebox/value';
import { TokenListSchema, WhoamiSchema, type TokenList } from '../../wire/access.ts';
import { commandBodyOf, COMMANDS, type CommandAnswer } from '../../wire/command.ts';
import { explainError } from '../../wire/explain.ts';
import { OPERATOR_ROLES } from '../../wire/role.ts';
import { formatToken, LIFETIME_HOURS, TOKEN_BYTES } from '../../wire/token.ts';
import { EXIT, UsageError } from '../io.ts';
import type { NewToken } from './bootstrap.ts';
import { printObject, textOption, type Desk, type OperatorNoun } from './command.ts';
import { commandVerb, decided, REASON, reasonOf } from './commanding.ts';
import { pathOf } from './paths.ts';
import { age, table, type Cell } from './show.ts';

export const WHOAMI: OperatorNoun = {
  noun: 'whoami',
  about: 'who the control plane takes you for, and what you may do',
  verbs: [
    {
      verb: '',
      args: [],
      about: 'Who the control plane takes you for, and what you may do',
      options: {},
      examples: ['muster whoami', 'muster whoami --json'],
      run: whoami,
    },
  ],
};

export const TOKENS: OperatorNoun = {
  noun: 'token',
  about: 'bearer tokens of people and pipelines',
  verbs: [
    {
      verb: 'create',
      args: ['name'],
      about: 'Make a token, print it once, and have the control plane admit its holder',
      options: {
        role: {
          value: 'ROLE',
          choices: OPERATOR_ROLES,
          about: `${OPERATOR_ROLES.join(', ')} (required)`,
        },
        channels: { value: 'NAMES', about: 'comma-separated: commands reach these channels only' },
        expires: { value: 'TIME', about: 'after so many hours or days: 12h, 30d (default), 366d' },
        ...REASON,
        bootstrap: {
          about: 'through the database, for the first token: needs MUSTER_DATABASE_URL, no token',
        },
        'database-url': { value: 'URL', about: 'with --bootstrap: instead of MUSTER_DATABASE_URL' },
        schema: { value: 'NAME', about: 'with --bootstrap: instead of MUSTER_SCHEMA' },
      },
      examples: [
        "muster token create ci-deploy --role operator --channels edge -r 'pipeline of team web'",
        "muster token create ada --role admin --expires 8h -r 'on call' --json",
      ],
      run: create,
    },
    {
      verb: 'list',
      args: [],
      about: 'Tokens that were made and not revoked; nothing that proves one',
      options: {},
      examples: ['muster token list'],
      run: list,
    },
    commandVerb({
      ...{ verb: 'revoke', command: 'RevokeToken', args: ['token'] },
      example: 'muster token revoke ci-deploy',
    }),
  ],
};

async function whoami(desk: Desk): Promise<number> {
  const found = await desk.client.get(WhoamiSchema, '/v1/whoami');
  if (desk.json) {
    printObject(desk, found);
    return EXIT.ok;
  }
  const { cn, role, via, channels, expiresAt, commands } = found;
  const until = expiresAt === undefined ? '' : `, until ${expiresAt}`;
  const where = channels === undefined ? '' : ` on ${channels.join(', ')}`;
  desk.io.stdout.write(`${cn}: ${role}, by ${via}${until}\n`);
  desk.io.stdout.write(`commands${where}: ${commands.join(', ') || 'none'}\n`);
  return EXIT.ok;
}

async function create(desk: Desk): Promise<number> {
  const tokenId = randomBytes(TOKEN_BYTES.tokenId).toString('hex');
  const secret = randomBytes(TOKEN_BYTES.secret).toString('hex');
  const wanted: NewToken = {
    ...{ tokenId, name: desk.args['name'] ?? '', role: roleOf(desk), channels: channelsOf(desk) },
    ...{ lifetimeHours: hoursOf(textOption(desk, 'expires')), reason: reasonOf(desk) },
    secretHash: createHash('sha256').update(secret).digest('hex'),
  };
  const schema = commandBodyOf('CreateToken');
  if (!Value.Check(schema, wanted)) {
    throw new UsageError(explainError(Value.Errors(schema, wanted).First(), 'token'));
  }
  const answer = await made(desk, wanted);
  const { secretHash: _hash, reason: _reason, ...about } = wanted;
  const token = formatToken({ tokenId, secret });
  if (desk.json) printObject(desk, { ...answer, ...about, token });
  else {
    desk.io.stdout.write(`${token}\n`);
    desk.io.stderr.write(story(about, answer));
  }
  return answer.status === 'queued' ? EXIT.undecided : EXIT.ok;
}

async function made(desk: Desk, wanted: NewToken): Promise<CommandAnswer> {
  if (desk.options['bootstrap'] !== true)
    return decided(desk, COMMANDS.CreateToken.route, wanted, randomUUID());
  // The database driver is loaded for this alone.
  const { createThroughDatabase } = await import('./bootstrap.ts');
  const url = textOption(desk, 'database-url');
  return createThroughDatabase(wanted, { 'database-url': url, schema: textOption(desk, 'schema') });
}

/** Beside the token, which alone goes to stdout so that a script can take it. */
function story(about: Pick<NewToken, 'name' | 'role' | 'tokenId'>, answer: CommandAnswer): string {
  const { name, role, tokenId } = about;
  const what = `token ${tokenId} of ${name}, ${role}`;
  return answer.status === 'queued'
    ? `muster: ${what}: stored, and in force once a leader has decided it; \`muster token list\` shows it then. It is shown this once: keep it where secrets are kept.\n`
    : `muster: ${what}, is in force (log row ${String(answer.seqs[0] ?? '-')}). It is shown this once: keep it where secrets are kept.\n`;
}

function roleOf(desk: Desk): NewToken['role'] {
  const given = textOption(desk, 'role');
  const role = OPERATOR_ROLES.find((one) => one === given);
  if (role !== undefined) return role;
  throw new UsageError(`give --role: one of ${OPERATOR_ROLES.join(', ')}`);
}

function channelsOf(desk: Desk): readonly string[] | null {
  const given = textOption(desk, 'channels');
  if (given === undefined) return null;
  const names = given.split(',').map((name) => name.trim());
  if (names.includes(''))
    throw new UsageError('--channels is a list of names such as stable,edge, without empty ones');
  return [...new Set(names)];
}

function hoursOf(given: string | undefined): number {
  if (given === undefined) return LIFETIME_HOURS.usual;
  const [, count = '', unit] = /^(\d{1,5})([hd])$/.exec(given) ?? [];
  const hours = Number(count) * (unit === 'd' ? 24 : 1);
  if (hours >= 1 && hours <= LIFETIME_HOURS.most) return hours;
  throw new UsageError('--expires is a time such as 12h or 30d, from 1h to 366d');
}

async function list(desk: Desk): Promise<number> {
  const found = await desk.client.get(TokenListSchema, pathOf('tokens'));
  if (desk.json) printObject(desk, found);
  else if (found.tokens.length === 0) desk.io.stdout.write('there are no tokens\n');
  else {
    const rows = found.tokens.map((one) => row(one, desk.now()));
    const heads = ['NAME', 'ROLE', 'CHANNELS', 'EXPIRES', 'USED', 'MADE BY', 'ID'];
    desk.io.stdout.write(table(heads, rows, desk));
  }
  return EXIT.ok;
}

function row(one: TokenList['tokens'][number], now: number): (string | Cell)[] {
  const expired = Date.parse(one.expiresAt) <= now;
  return [
    ...[one.name, one.role, one.channels?.join(',') ?? 'all'],
    expired ? { text: 'expired', tone: 'warn' } : one.expiresAt.slice(0, 16),
    one.lastUsedAt === undefined ? 'never' : age(one.lastUsedAt, now),
    ...[one.createdBy, one.tokenId],
  ];
}
