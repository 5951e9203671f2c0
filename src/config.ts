/**
 * The only reader of the environment. Environment first, flags win; limits are checked against each other,
 * and every problem is reported at once, each with what to do: a restart loop that reveals one typo a time
 * is cruel. The settings themselves are in config/schema.ts.
 */
import type { Static, TSchema } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { CLIENT_VARIABLES } from './config/client.ts';
import type { Environment, Loaded } from './config/loaded.ts';
import {
  elsewhere,
  isReadable,
  leadsElsewhere,
  parameterProblem,
  unreadable,
} from './config/database-url.ts';
import { ConfigSchema } from './config/schema.ts';
import { strictProblems } from './config/strict.ts';

export type Config = Static<typeof ConfigSchema>;
export type Role = Config['roles'][number];

/** `databaseUrl` → `MUSTER_DATABASE_URL` */
export function envName(setting: string): string {
  return `MUSTER_${setting.replace(/[A-Z]/g, '_$&').toUpperCase()}`;
}

/** `databaseUrl` → `--database-url` */
export function flagName(setting: string): string {
  return `--${setting.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** The environment as it is, for child processes. */
export function environment(): Environment {
  return process.env;
}

/** For programs that are not ours: without our settings, some of which are secrets. */
export function childEnvironment(env: Environment = process.env): Environment {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('MUSTER_')));
}

const SCHEMAS: ReadonlyMap<string, TSchema> = new Map(Object.entries(ConfigSchema.properties));
const BY_FLAG: ReadonlyMap<string, string> = new Map(
  [...SCHEMAS.keys()].map((name) => [flagName(name), name]),
);

function isBoolean(name: string): boolean {
  return SCHEMAS.get(name)?.['type'] === 'boolean';
}

/** The texts that flags give, by setting; a boolean flag alone means true. */
function readFlags(argv: readonly string[], problems: string[]): ReadonlyMap<string, string> {
  const given = new Map<string, string>();
  for (let i = 0; i < argv.length; i += 1) {
    const [flag = '', inline] = (argv[i] ?? '').split(/=(.*)/s);
    const name = BY_FLAG.get(flag);
    if (name === undefined) {
      problems.push(`"${flag}" is no setting; see docs/configuration.md for the list`);
      continue;
    }
    if (inline !== undefined) given.set(name, inline);
    else if (isBoolean(name)) {
      const next = argv[i + 1];
      const follows = next !== undefined && /^(true|false)$/.test(next);
      given.set(name, follows ? next : 'true');
      if (follows) i += 1;
    } else {
      i += 1;
      const next = argv[i];
      if (next === undefined) problems.push(`${flag} needs a value; write ${flag} <value>`);
      else given.set(name, next);
    }
  }
  return given;
}

function parseBoolean(raw: string): unknown {
  if (/^(true|1|yes|on)$/i.test(raw)) return true;
  return /^(false|0|no|off)$/i.test(raw) ? false : raw;
}

/** A text as the value its schema wants; what cannot be read stays a text, and the schema refuses it. */
function parseValue(schema: TSchema, raw: string): unknown {
  switch (schema['type']) {
    case 'integer':
    case 'number':
      return raw.trim() === '' ? raw : Number(raw);
    case 'boolean':
      return parseBoolean(raw);
    case 'array':
      return raw.split(',').map((part) => part.trim());
    default:
      return raw;
  }
}

function wanted(schema: TSchema): string {
  if (schema['type'] === 'integer' || schema['type'] === 'number') {
    const kind = schema['type'] === 'integer' ? 'a whole number' : 'a number';
    return `${kind} from ${String(schema['minimum'])} to ${String(schema['maximum'])}`;
  }
  if (schema['type'] === 'boolean') return 'true or false';
  const form: unknown = schema['form'];
  const example: unknown = schema['example'];
  const like = typeof example === 'string' ? `something like ${example}` : null;
  if (typeof form === 'string') return like === null ? form : `${form}, ${like}`;
  if (like !== null) return like;
  return schema.description ?? 'another value';
}

function complain(name: string, schema: TSchema, raw: string | undefined): string {
  const names = `${envName(name)} (${flagName(name)})`;
  if (raw === undefined) return `${names} is not set; give ${wanted(schema)}`;
  const shown = schema['secret'] === true ? 'its value' : JSON.stringify(raw.slice(0, 80));
  return `${names}: ${shown} does not fit; give ${wanted(schema)}`;
}

/** The texts that are given, by setting. Empty ones count as unset: `MUSTER_SOURCE=` in a compose file means nothing. */
function givenTexts(
  argv: readonly string[],
  env: Environment,
  problems: string[],
): ReadonlyMap<string, string> {
  const flags = readFlags(argv, problems);
  const given = new Map<string, string>();
  for (const name of SCHEMAS.keys()) {
    const text = flags.get(name) ?? env[envName(name)] ?? '';
    if (text !== '') given.set(name, text);
  }
  return given;
}

function valuesOf(given: ReadonlyMap<string, string>, problems: string[]): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [name, schema] of SCHEMAS) {
    const raw = given.get(name);
    const value: unknown = raw === undefined ? schema.default : parseValue(schema, raw);
    if (Value.Check(schema, value)) values[name] = value;
    else problems.push(complain(name, schema, raw));
  }
  return values;
}

/** Names and literal addresses that never leave the machine. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** `10.0.0.5:8443`, `[::]:8443`, as the schema has it. */
export function hostAndPort(text: string): { readonly host: string; readonly port: number } {
  const at = text.lastIndexOf(':');
  return { host: text.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(text.slice(at + 1)) };
}

type Rule = readonly [
  broken: (config: Config) => boolean,
  problem: string | ((config: Config) => string),
];

const hasClientCa = (config: Config): boolean =>
  config.clientCaFile !== null || config.operatorCaFile !== null;
const needsSource = (config: Config): boolean => config.roles.includes('workers');

const DATABASE_URLS = [
  [(c: Config) => c.databaseUrl, 'MUSTER_DATABASE_URL'],
  [(c: Config) => c.leaderDatabaseUrl, 'MUSTER_LEADER_DATABASE_URL'],
] as const;

const is = (url: string | null, what: (url: string) => boolean): boolean =>
  url !== null && what(url);

/** Limits that only make sense together. */
const RULES: readonly Rule[] = [
  ...DATABASE_URLS.flatMap(([urlOf, variable]): Rule[] => [
    [(c) => is(urlOf(c), (url) => !isReadable(url)), unreadable(variable)],
    [(c) => is(urlOf(c), (url) => isReadable(url) && leadsElsewhere(url)), elsewhere(variable)],
    [
      (c) => is(urlOf(c), (url) => isReadable(url) && parameterProblem(variable, url) !== null),
      (c) => parameterProblem(variable, urlOf(c) ?? '') ?? '',
    ],
  ]),
  [
    (c) => c.schema.endsWith('_v1'),
    'MUSTER_SCHEMA must not end in _v1; an installation NAME has its views in the schema NAME_v1: choose another name',
  ],
  [
    (c) => c.devIdentity && !isLoopback(c.listenHost),
    'MUSTER_DEV_IDENTITY believes any caller, so it works only on loopback; set MUSTER_LISTEN_HOST=127.0.0.1 or drop it',
  ],
  [
    (c) => (c.tlsCertFile === null) !== (c.tlsKeyFile === null),
    'MUSTER_TLS_CERT_FILE and MUSTER_TLS_KEY_FILE belong together; set both or neither',
  ],
  [
    (c) => c.tlsCertFile === null && c.proxyListen === null && hasClientCa(c),
    'MUSTER_CLIENT_CA_FILE and MUSTER_OPERATOR_CA_FILE need TLS, in which clients present their certificates; set MUSTER_TLS_CERT_FILE and MUSTER_TLS_KEY_FILE',
  ],
  [
    (c) => c.proxyListen !== null && !hasClientCa(c),
    'MUSTER_PROXY_LISTEN needs MUSTER_CLIENT_CA_FILE or MUSTER_OPERATOR_CA_FILE; what proxies forward is judged by them',
  ],
  [
    (c) => c.proxyListen !== null && c.proxyAddresses.length === 0,
    'MUSTER_PROXY_LISTEN needs MUSTER_PROXY_ADDRESSES; name the addresses of the proxies, such as 10.1.2.0/24',
  ],
  [
    (c) => c.proxyListen !== null && c.proxyCaFile === null && c.proxySecretFile === null,
    'MUSTER_PROXY_LISTEN needs MUSTER_PROXY_CA_FILE or MUSTER_PROXY_SECRET_FILE; an address alone proves no proxy',
  ],
  [
    (c) =>
      c.proxyListen !== null &&
      c.tlsCertFile === null &&
      !isLoopback(hostAndPort(c.proxyListen).host),
    'MUSTER_PROXY_LISTEN speaks plain HTTP without MUSTER_TLS_CERT_FILE; set it, or listen on 127.0.0.1 for a proxy of this machine',
  ],
  [
    (c) => c.proxyCaFile !== null && (c.tlsCertFile === null || c.proxyListen === null),
    'MUSTER_PROXY_CA_FILE needs MUSTER_PROXY_LISTEN and MUSTER_TLS_CERT_FILE; proxies present their certificates there',
  ],
  [
    (c) => c.proxySecretFile !== null && c.proxyListen === null,
    'MUSTER_PROXY_SECRET_FILE needs MUSTER_PROXY_LISTEN; proxies are believed there only',
  ],
  [
    (c) => c.proxyListen !== null && c.devIdentity,
    'MUSTER_DEV_IDENTITY and MUSTER_PROXY_LISTEN exclude each other; what comes through a proxy would be believed',
  ],
  [
    (c) => needsSource(c) && c.source === null,
    'the role workers needs MUSTER_SOURCE; set it to a directory or an http(s) URL of signed artifacts, or drop the role',
  ],
  [
    (c) => needsSource(c) && c.trustFile === null,
    'the role workers needs MUSTER_TRUST_FILE; set it to the path of the trust file, or drop the role',
  ],
  [
    (c) => c.caCertFile === null && (c.caKeyFile !== null || c.caSignCommand !== null),
    'MUSTER_CA_KEY_FILE and MUSTER_CA_SIGN_COMMAND sign for MUSTER_CA_CERT_FILE; set it as well, or drop them',
  ],
  [
    (c) => c.caCertFile !== null && (c.caKeyFile === null) === (c.caSignCommand === null),
    'MUSTER_CA_CERT_FILE needs what signs for it: set one of MUSTER_CA_SIGN_COMMAND and MUSTER_CA_KEY_FILE',
  ],
  [
    (c) => c.caCertFile !== null && c.trustFile === null,
    'MUSTER_CA_CERT_FILE needs MUSTER_TRUST_FILE, whose orgRootKey signs bootstrap tokens; set it',
  ],
  [
    (c) => c.closureSource !== null && !/^https?:\/\/./.test(c.closureSource),
    'MUSTER_CLOSURE_SOURCE must be an http(s) URL, such as https://cache.example.net',
  ],
  [
    (c) => c.checkpointTo !== null && !/^(https?:\/\/.|\/)/.test(c.checkpointTo),
    'MUSTER_CHECKPOINT_TO must be an http(s) URL or the absolute path of a file, such as /var/log/muster/checkpoints',
  ],
  [
    (c) => c.sourceToken !== null && c.source?.startsWith('http') !== true,
    'MUSTER_SOURCE_TOKEN is for an http(s) source; set MUSTER_SOURCE to a URL or drop the token',
  ],
  [
    (c) => c.stopDeadlineSeconds <= c.drainDelaySeconds,
    'MUSTER_STOP_DEADLINE_SECONDS must be longer than MUSTER_DRAIN_DELAY_SECONDS; nothing could stop in time otherwise',
  ],
  [
    (c) => c.batchRows > c.batcherMaxRows,
    'MUSTER_BATCH_ROWS must not exceed MUSTER_BATCHER_MAX_ROWS; a full batch must fit into memory',
  ],
  [
    (c) => c.batcherMaxRows > c.queueMaxRows,
    'MUSTER_BATCHER_MAX_ROWS must not exceed MUSTER_QUEUE_MAX_ROWS; one process could overfill the queue at once',
  ],
  [
    (c) => c.maxParkedPolls >= c.maxConnections,
    'MUSTER_MAX_CONNECTIONS must exceed MUSTER_MAX_PARKED_POLLS; parked polls would leave no connection for events',
  ],
  [
    (c) => c.offlineGraceMinutes * 60 < 3 * c.heartbeatSeconds,
    'MUSTER_OFFLINE_GRACE_MINUTES must be at least three of MUSTER_HEARTBEAT_SECONDS; a host is not absent before',
  ],
  [
    (c) => c.deliveredGraceMinutes * 60 < 3 * c.heartbeatSeconds,
    'MUSTER_DELIVERED_GRACE_MINUTES must be at least three of MUSTER_HEARTBEAT_SECONDS; a host is not silent before',
  ],
  [
    (c) => c.queueMaxAgeSeconds * 1_000 <= c.verdictWaitMs,
    'MUSTER_QUEUE_MAX_AGE_SECONDS must be longer than MUSTER_VERDICT_WAIT_MS; waiting would itself fill the queue',
  ],
];

/** The driver reads it, and asks every server that it reaches whether it will do. */
const TARGET_VARIABLE = 'PGTARGETSESSIONATTRS';
const NO_TARGET = `${TARGET_VARIABLE} chooses among several hosts, and a database URL has one; unset it`;

const NOT_BOTH =
  'MUSTER_STRICT=true and MUSTER_DEV_IDENTITY exclude each other; any caller would be believed: drop one of them';

/** All settings of `muster serve`, or every problem with them. `argv` holds the flags only. */
export function loadConfig(
  argv: readonly string[],
  env: Environment = process.env,
): Loaded<Config> {
  const problems: string[] = [];
  const given = givenTexts(argv, env, problems);
  const values: unknown = valuesOf(given, problems);
  if (problems.length > 0 || !Value.Check(ConfigSchema, values)) return { ok: false, problems };
  // Development leaves strict mode out; not where somebody asked for it.
  if (values.devIdentity && values.strict && given.has('strict')) problems.push(NOT_BOTH);
  if ((env[TARGET_VARIABLE] ?? '') !== '') problems.push(NO_TARGET);
  for (const [broken, problem] of RULES)
    if (broken(values)) problems.push(typeof problem === 'string' ? problem : problem(values));
  problems.push(...strictProblems(values));
  return problems.length > 0
    ? { ok: false, problems, config: values }
    : { ok: true, config: values };
}

export type DatabaseConfig = Pick<Config, 'databaseUrl' | 'schema' | 'logLevel'>;

const OF_DATABASE = ['databaseUrl', 'schema', 'logLevel'] as const;

/** What commands need that only speak to the database, such as `muster migrate`: the rest is not read. */
export function loadDatabaseConfig(
  argv: readonly string[],
  env: Environment = process.env,
): Loaded<DatabaseConfig> {
  const loaded = loadOnly(OF_DATABASE, argv, env);
  if (!loaded.ok) return loaded;
  const { databaseUrl, schema, logLevel } = loaded.config;
  return { ok: true, config: { databaseUrl, schema, logLevel } };
}

/** The same, and the leader's URL: for `muster doctor`, which compares where both lead. */
export function loadDatabaseUrls(
  argv: readonly string[],
  env: Environment = process.env,
): Loaded<DatabaseConfig & Pick<Config, 'leaderDatabaseUrl'>> {
  const loaded = loadOnly([...OF_DATABASE, 'leaderDatabaseUrl'], argv, env);
  if (!loaded.ok) return loaded;
  const { databaseUrl, schema, logLevel, leaderDatabaseUrl } = loaded.config;
  return { ok: true, config: { databaseUrl, schema, logLevel, leaderDatabaseUrl } };
}

function loadOnly(
  names: readonly (keyof Config)[],
  argv: readonly string[],
  env: Environment,
): Loaded<Config> {
  const variables = [...names.map(envName), TARGET_VARIABLE];
  const only = variables.map((name) => [name, env[name]] as const);
  // Nothing listens, and whoever migrates may do so from wherever they are.
  const rest = ['--roles', 'api', '--strict', 'false'];
  const loaded = loadConfig([...argv, ...rest], Object.fromEntries(only));
  return loaded.ok ? loaded : { ok: false, problems: loaded.problems };
}

/** What Kubernetes adds to every container for a Service that is called muster. */
const SERVICE_LINK = /_(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_\w+)?)$/;

/** Variables of our prefix that set nothing: misspelt, most likely. Named at start, never refused. */
export function unknownVariables(env: Environment = process.env): string[] {
  const known = new Set<string>([...[...SCHEMAS.keys()].map(envName), ...CLIENT_VARIABLES]);
  return Object.keys(env).filter(
    (name) => name.startsWith('MUSTER_') && !known.has(name) && !SERVICE_LINK.test(name),
  );
}

/** The settings without secrets, for the log line at start. */
export function publicSettings(config: Config): Readonly<Record<string, unknown>> {
  const isSecret = (name: string): boolean => SCHEMAS.get(name)?.['secret'] === true;
  return Object.fromEntries(Object.entries(config).filter(([name]) => !isSecret(name)));
}
