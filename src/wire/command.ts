/**
 * Every operator command, once: its route, what it is about, and what it does. The API makes its routes from
 * this list, the queue's decoder its schema, `muster` its calls, and tests draw from it. What a command
 * decides is the reducer's business.
 */
import { type Static, type TObject, type TProperties, Type } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import type { OperatorCommand } from '../reducer/input.ts';
import {
  HostnameSchema,
  OPERATOR_NAME_PATTERN,
  OPERATOR_NAME_TEXT,
  RolloutIdSchema,
} from './ids.ts';
import { LogKindSchema, OmittedSchema } from './log-event.ts';
import { RoleSchema } from './role.ts';
import { MOST_SEQS } from './seqs.ts';
import { LIFETIME_HOURS, SECRET_HASH_PATTERN, TOKEN_ID_PATTERN } from './token.ts';

export type CommandName = OperatorCommand['command'];
/** What a command can be about. */
type Field = 'channel' | 'closure' | 'hostname' | 'rolloutId' | 'tokenId';

interface CommandSpec {
  /** In the router's notation. */
  readonly route: string;
  /** The least role that may give it. What cannot be taken back is an admin's. */
  readonly role: 'operator' | 'admin';
  /** The field that each parameter of the route fills. */
  readonly params: Readonly<Record<string, Field>>;
  /** What its body says of it, beside the reason. */
  readonly body?: TProperties;
  readonly summary: string;
}

export const ChannelSchema = Type.String({
  pattern: '^[a-z0-9_-]{1,64}$',
  description: 'Name of a channel: lower-case letters, digits, _ and -, 64 at the most.',
});

const TokenIdSchema = Type.String({
  pattern: TOKEN_ID_PATTERN,
  description: 'Id of a token, the part of it that is no secret.',
});

const TOKEN_BODY = {
  tokenId: TokenIdSchema,
  name: Type.String({
    pattern: OPERATOR_NAME_PATTERN,
    description: `What the log calls its holder: ${OPERATOR_NAME_TEXT}; of one token in force at a time.`,
  }),
  role: RoleSchema,
  channels: Type.Union([Type.Array(ChannelSchema, { minItems: 1, maxItems: 100 }), Type.Null()], {
    default: null,
    description: 'Commands under it reach these channels only; null: everything.',
  }),
  lifetimeHours: Type.Integer({
    minimum: 1,
    maximum: LIFETIME_HOURS.most,
    default: LIFETIME_HOURS.usual,
    description: 'It ends by itself after this.',
  }),
} satisfies TProperties;

export const COMMANDS: Readonly<Record<CommandName, CommandSpec>> = {
  PauseChannel: {
    route: '/v1/channels/:name/pause',
    role: 'operator',
    params: { name: 'channel' },
    summary:
      'Dispatch nothing more on a channel, successors of its rollout included, until resumed',
  },
  ResumeChannel: {
    route: '/v1/channels/:name/resume',
    role: 'operator',
    params: { name: 'channel' },
    summary: 'Let a paused channel go on',
  },
  PauseFleet: {
    route: '/v1/fleet/pause',
    role: 'operator',
    params: {},
    summary: 'Dispatch nothing more anywhere until resumed',
  },
  ResumeFleet: {
    route: '/v1/fleet/resume',
    role: 'operator',
    params: {},
    summary: 'Let a paused fleet go on',
  },
  CancelRollout: {
    route: '/v1/rollouts/:id/cancel',
    role: 'operator',
    params: { id: 'rolloutId' },
    summary: 'End a rollout for good; hosts that are under way finish by themselves',
  },
  ClearRollout: {
    route: '/v1/rollouts/:id/clear',
    role: 'operator',
    params: { id: 'rolloutId' },
    summary: 'Set the failures of a halted rollout aside and let it go on; nobody is retried',
  },
  HoldHost: {
    route: '/v1/hosts/:name/hold',
    role: 'operator',
    params: { name: 'hostname' },
    summary: 'Dispatch nothing to a host until it is released',
  },
  ReleaseHost: {
    route: '/v1/hosts/:name/release',
    role: 'operator',
    params: { name: 'hostname' },
    summary: 'Let a held host be dispatched again',
  },
  WithdrawDispatch: {
    route: '/v1/hosts/:name/withdraw',
    role: 'operator',
    params: { name: 'hostname' },
    summary: "Take a host's dispatches back",
  },
  WriteOffHost: {
    route: '/v1/hosts/:name/write-off',
    role: 'admin',
    params: { name: 'hostname' },
    summary:
      "Close a host's records, so that no rollout waits for it: it is dead, went back or moved on",
  },
  ClearQuarantine: {
    route: '/v1/quarantines/:channel/:closure/clear',
    role: 'admin',
    params: { channel: 'channel', closure: 'closure' },
    summary: 'Let a closure that failed on a channel be dispatched there again',
  },
  CreateToken: {
    route: '/v1/tokens',
    role: 'admin',
    params: {},
    body: TOKEN_BODY,
    summary: 'Admit the holder of a secret that was made by the caller; `muster token create` does',
  },
  RevokeToken: {
    route: '/v1/tokens/:id/revoke',
    role: 'admin',
    params: { id: 'tokenId' },
    summary: 'Admit the holder of a token no more',
  },
};

export const COMMAND_NAMES = Object.keys(COMMANDS) as readonly CommandName[];

/** By these its channels are known. */
const OF_CHANNELS: readonly Field[] = ['channel', 'rolloutId', 'hostname'];

/** Whether a command reaches the whole fleet, whatever it is about: beyond every proof made out for some channels. */
export function isFleetWide(name: CommandName): boolean {
  return !Object.values(COMMANDS[name].params).some((field) => OF_CHANNELS.includes(field));
}

/** What each field may hold where it enters; beyond the edge it is a text. */
export const FIELD_SCHEMAS = {
  channel: ChannelSchema,
  closure: Type.String({
    pattern: '^[^\\u0000-\\u001f\\ud800-\\udfff]{1,300}$',
    description: 'Hash of a closure.',
  }),
  hostname: HostnameSchema,
  rolloutId: RolloutIdSchema,
  tokenId: TokenIdSchema,
} as const satisfies Readonly<Record<Field, unknown>>;

/** A command as it is queued. */
export const CommandSchema = Type.Unsafe<OperatorCommand>(
  Type.Union(
    COMMAND_NAMES.map((name) =>
      Type.Object({
        command: Type.Literal(name),
        ...Object.fromEntries(Object.values(COMMANDS[name].params).map((f) => [f, Type.String()])),
        ...COMMANDS[name].body,
      }),
    ),
  ),
);

const check = TypeCompiler.Compile(CommandSchema);

/** The command `name` with the parameters of its route and what its body says. */
export function commandOf(
  name: CommandName,
  params: Readonly<Record<string, string>>,
  body: object,
): OperatorCommand {
  const subjects: Partial<Record<Field, string>> = {};
  for (const [param, field] of Object.entries(COMMANDS[name].params)) {
    const value = params[param];
    if (value !== undefined) subjects[field] = value;
  }
  return commandAbout(name, subjects, body);
}

/** The command `name` about what `subjects` and `body` say of its fields; others are left out. */
export function commandAbout(
  name: CommandName,
  subjects: Readonly<Partial<Record<Field, string>>>,
  body: object = {},
): OperatorCommand {
  const { params, body: own = {} } = COMMANDS[name];
  const fields = Object.values(params).map((field) => [field, subjects[field]]);
  const said = Object.entries(body).filter(([field]) => Object.hasOwn(own, field));
  const command: unknown = { command: name, ...Object.fromEntries([...fields, ...said]) };
  if (check.Check(command)) return command;
  throw new Error(`${name} lacks a parameter of ${COMMANDS[name].route}`);
}

/** A sentence or two; longer explanations belong behind a link in it. */
const MAX_REASON = 1_000;

export const CommandBodySchema = Type.Object(
  {
    reason: Type.String({
      pattern: '\\S',
      maxLength: MAX_REASON,
      description: 'Why, for whoever reads the log.',
    }),
    expectedSeq: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: Number.MAX_SAFE_INTEGER,
        description:
          'The `seq` of the subject as it was seen: 409 when what the command acts on changed since.',
      }),
    ),
  },
  { examples: [{ reason: 'disk alarms on the canaries, OPS-4711' }] },
);

const SECRET = {
  secretHash: Type.String({
    pattern: SECRET_HASH_PATTERN,
    description:
      'SHA-256, lower-case hex, of the 64 hex digits that the caller drew at random for the secret. The secret itself comes here only when it is used.',
  }),
};

/** The one command that says more than why. */
const EXAMPLE_TOKEN = {
  reason: 'deploys from CI, OPS-4712',
  tokenId: '5f3a9c0d11e27b84',
  name: 'ci-deploy',
  role: 'operator',
  channels: ['stable'],
  lifetimeHours: 720,
  secretHash: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
};

/** The body of a command's request. */
export function commandBodyOf(name: CommandName): TObject {
  const { body } = COMMANDS[name];
  if (body === undefined) return CommandBodySchema;
  const properties = { ...CommandBodySchema.properties, ...body, ...SECRET };
  return Type.Object(properties, { examples: [EXAMPLE_TOKEN] });
}

export const CommandAnswerSchema = Type.Object(
  {
    status: Type.Union([Type.Literal('applied'), Type.Literal('queued'), Type.Literal('preview')], {
      description:
        '`queued`: durable, but not decided in time; ask again with the same Idempotency-Key. `preview`: of a dry run; nothing happened.',
    }),
    seqs: Type.Array(Type.Integer(), {
      description: `Log rows that it led to, the command's own first; at most ${MOST_SEQS.toLocaleString('en')}.`,
    }),
    asOfSeq: Type.Optional(
      Type.Integer({ description: 'Of a dry run: the log row up to which this was true.' }),
    ),
    total: Type.Optional(Type.Integer({ description: 'Of a dry run: rows it would lead to.' })),
    rows: Type.Optional(
      Type.Array(
        Type.Object({
          kind: LogKindSchema,
          host: Type.Optional(Type.String()),
          rolloutId: Type.Optional(Type.String()),
          channel: Type.Optional(Type.String()),
          payload: Type.Unknown(),
          omitted: Type.Optional(OmittedSchema),
        }),
        { description: 'Of a dry run: the first 200 log rows that it would lead to.' },
      ),
    ),
  },
  { examples: [{ status: 'applied', seqs: [1041, 1042] }] },
);

export const CommandQuerySchema = Type.Object({
  dryRun: Type.Optional(
    Type.Union([Type.Literal('true'), Type.Literal('false')], {
      description: 'true: say what would happen, by the deciding code itself, and do nothing.',
    }),
  ),
});

export type CommandBody = Static<typeof CommandBodySchema> & { readonly secretHash?: string };
export type CommandAnswer = Static<typeof CommandAnswerSchema>;
