/**
 * Where `muster`'s operator commands find the control plane: flags, then the environment, then a profile of
 * the config file. Nothing is required: `muster dev` listens where the last default points.
 */
import { type Static, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import type { Environment, Loaded } from './loaded.ts';

/** Where `muster dev` listens. */
const DEFAULT_URL = 'http://127.0.0.1:7070';

/** Variables of the client; `muster serve` does not know them. */
export const CLIENT_VARIABLES = ['MUSTER_URL', 'MUSTER_TOKEN', 'MUSTER_PROFILE'] as const;

const ProfileSchema = Type.Object(
  {
    url: Type.Optional(Type.String()),
    token: Type.Optional(Type.String()),
    tokenFile: Type.Optional(Type.String()),
    caFile: Type.Optional(Type.String()),
    certFile: Type.Optional(Type.String()),
    keyFile: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
);

const FileSchema = Type.Object(
  {
    /** The profile that is used when none is named. */
    default: Type.Optional(Type.String()),
    profiles: Type.Record(Type.String(), ProfileSchema),
  },
  { additionalProperties: false },
);

export interface ClientFlags {
  readonly url?: string | undefined;
  readonly token?: string | undefined;
  readonly profile?: string | undefined;
}

export interface ClientConfig {
  readonly url: string;
  /** Where the address came from, for errors. */
  readonly from: string;
  readonly token: string | null;
  /** Where that came from, for errors. */
  readonly tokenFrom: string;
  /** Read the token from here; relative to the config file's folder. */
  readonly tokenFile: string | null;
  /** PEM files, relative to the same folder: whom to believe, and how to prove who asks. */
  readonly tlsFiles: Readonly<Record<'ca' | 'cert' | 'key', string | null>>;
  /** Who the caller is where nobody asks for proof: development servers on this machine. */
  readonly user: string;
}

/** `$XDG_CONFIG_HOME/muster/config.json`, else below `~/.config`; null without a home. */
export function clientConfigPath(env: Environment): string | null {
  const base = env['XDG_CONFIG_HOME'] ?? (env['HOME'] ? `${env['HOME']}/.config` : undefined);
  return base ? `${base}/muster/config.json` : null;
}

/** `file` is the config file's text, null when there is none. */
export function loadClientConfig(
  flags: ClientFlags,
  env: Environment,
  file: string | null,
): Loaded<ClientConfig> {
  const name = flags.profile ?? (env['MUSTER_PROFILE'] || undefined);
  const found = profileOf(file, name, clientConfigPath(env) ?? '');
  if (typeof found === 'string') return { ok: false, problems: [found] };
  const { profile } = found;
  const given = [
    ['--url', flags.url],
    ['MUSTER_URL', env['MUSTER_URL'] || undefined],
    [`profile ${found.name}`, profile.url],
    ['the default', DEFAULT_URL],
  ] as const;
  const [from, url] = given.find(([, value]) => value !== undefined) ?? given[3];
  const clean = urlOf(url ?? '');
  if (clean === null) {
    const problem = `${from} is ${JSON.stringify(url)}, not an address such as https://muster.example.com`;
    return { ok: false, problems: [problem] };
  }
  const { caFile: ca = null, certFile: cert = null, keyFile: key = null } = profile;
  if ((cert === null) !== (key === null)) {
    const problem = `profile ${found.name} has one of certFile and keyFile; a certificate needs both`;
    return { ok: false, problems: [problem] };
  }
  const tokens = [
    ['--token', flags.token],
    ['MUSTER_TOKEN', env['MUSTER_TOKEN'] || undefined],
    [`profile ${found.name}`, profile.token],
  ] as const;
  const [tokenFrom, token = null] = tokens.find(([, value]) => value !== undefined) ?? tokens[2];
  return {
    ok: true,
    config: {
      ...{ url: clean, from, token, tokenFrom },
      tokenFile: token === null ? (profile.tokenFile ?? null) : null,
      tlsFiles: { ca, cert, key },
      user: (env['USER'] ?? '').replace(/[^\w.@+-]/g, '') || 'operator',
    },
  };
}

function profileOf(
  file: string | null,
  wanted: string | undefined,
  where: string,
): { readonly name: string; readonly profile: Static<typeof ProfileSchema> } | string {
  if (file === null) {
    return wanted === undefined
      ? { name: 'none', profile: {} }
      : `there is no config file, and so no profile ${wanted}; make one (docs/cli.md) or give --url`;
  }
  const content = parsed(file);
  if (!Value.Check(FileSchema, content)) {
    return `the config file ${where} is no {"default": NAME, "profiles": {NAME: {"url", "token" or "tokenFile", "caFile", "certFile", "keyFile"}}}; see docs/cli.md`;
  }
  const name = wanted ?? content.default;
  if (name === undefined) return { name: 'none', profile: {} };
  const profile = Object.hasOwn(content.profiles, name) ? content.profiles[name] : undefined;
  const known = Object.keys(content.profiles).join(', ') || 'none';
  return profile === undefined
    ? `the config file ${where} has no profile ${name}; it has ${known}`
    : { name, profile };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function urlOf(text: string): string | null {
  if (!URL.canParse(text)) return null;
  const url = new URL(text);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return null;
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

/** Colours, unless the environment says no: https://no-color.org. */
export function wantsColour(env: Environment): boolean {
  return !env['NO_COLOR'] && env['TERM'] !== 'dumb';
}
