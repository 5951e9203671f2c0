import { describe, expect, it } from 'vitest';
import type { Environment } from '../../src/config/loaded.ts';
import { ConfigSchema } from '../../src/config/schema.ts';
import {
  envName,
  flagName,
  isLoopback,
  loadConfig,
  loadDatabaseConfig,
  publicSettings,
  unknownVariables,
  type Config,
} from '../../src/config.ts';

const DATABASE = {
  MUSTER_DATABASE_URL: 'postgres://muster:secret@db/muster',
  MUSTER_STRICT: 'false',
};
const COMPLETE = { ...DATABASE, MUSTER_SOURCE: '/artifacts', MUSTER_TRUST_FILE: '/trust.json' };

function config(argv: readonly string[], env: Environment): Config {
  const loaded = loadConfig(argv, env);
  if (!loaded.ok) throw new Error(loaded.problems.join('\n'));
  return loaded.config;
}

function problems(argv: readonly string[], env: Environment): readonly string[] {
  const loaded = loadConfig(argv, env);
  return loaded.ok ? [] : loaded.problems;
}

/** A proxy of this machine. */
const PROXIES = [
  '--proxy-listen=127.0.0.1:8443',
  '--client-ca-file=c',
  '--proxy-addresses=127.0.0.1',
  '--proxy-secret-file=s',
];

describe('names', () => {
  it('derives the variable and the flag from the setting', () => {
    expect(envName('databaseUrl')).toBe('MUSTER_DATABASE_URL');
    expect(flagName('databaseUrl')).toBe('--database-url');
  });
});

describe('loadConfig', () => {
  it('needs little and defaults the rest', () => {
    const loaded = config([], COMPLETE);
    expect(loaded.schema).toBe('muster');
    expect(loaded.roles).toEqual(['api', 'leader', 'workers']);
    expect(loaded.devIdentity).toBe(false);
  });

  it('lets flags win over the environment, in both spellings', () => {
    const env = { ...COMPLETE, MUSTER_LISTEN_PORT: '1', MUSTER_SCHEMA: 'one', MUSTER_ROLES: 'api' };
    const loaded = config(['--listen-port', '2', '--schema=two', '--dev-identity'], env);
    expect(loaded).toMatchObject({
      listenPort: 2,
      schema: 'two',
      devIdentity: true,
      roles: ['api'],
    });
  });

  it('treats empty variables as unset', () => {
    expect(config(['--roles', 'api'], { ...DATABASE, MUSTER_SOURCE: '' }).source).toBeNull();
  });

  it('reports every problem at once, with what to do', () => {
    const found = problems(['--listen-port', 'abc', '--bogus=1', '--schema', 'No Good'], {});
    expect(found).toEqual([
      '"--bogus" is no setting; see docs/configuration.md for the list',
      expect.stringMatching(
        /^MUSTER_DATABASE_URL \(--database-url\) is not set; give a postgres:\/\/ URL that names its server/,
      ),
      expect.stringMatching(
        /^MUSTER_SCHEMA .*"No Good" does not fit; give up to 40 lower-case letters, digits and/,
      ),
      expect.stringMatching(
        /^MUSTER_LISTEN_PORT .*"abc" does not fit; give a whole number from 0 to/,
      ),
    ]);
  });

  it('says which flag lacks its value', () => {
    expect(problems(['--schema'], COMPLETE)).toEqual([
      '--schema needs a value; write --schema <value>',
    ]);
  });

  it('never shows a secret, neither in problems nor in the start line', () => {
    expect(
      problems([], { ...COMPLETE, MUSTER_DATABASE_URL: 'mysql://secret' }).join(),
    ).not.toContain('secret');
    expect(JSON.stringify(publicSettings(config([], COMPLETE)))).not.toContain('secret');
  });

  it.each([
    [['--dev-identity', '--listen-host', '0.0.0.0'], 'MUSTER_DEV_IDENTITY'],
    [['--drain-delay-seconds', '25'], 'MUSTER_STOP_DEADLINE_SECONDS'],
    [['--batch-rows', '20000', '--batcher-max-rows', '10'], 'MUSTER_BATCH_ROWS'],
    [['--queue-max-rows', '100'], 'MUSTER_BATCHER_MAX_ROWS'],
    [['--max-connections', '10'], 'MUSTER_MAX_CONNECTIONS'],
    [['--offline-grace-minutes', '1'], 'MUSTER_OFFLINE_GRACE_MINUTES'],
    [['--delivered-grace-minutes', '1'], 'MUSTER_DELIVERED_GRACE_MINUTES'],
    [['--queue-max-age-seconds', '1'], 'MUSTER_QUEUE_MAX_AGE_SECONDS'],
    [['--schema', 'fleet_east_v1'], 'MUSTER_SCHEMA must not end in _v1'],
    [['--source-token', 'x'], 'MUSTER_SOURCE_TOKEN'],
    [['--tls-cert-file', 'c'], 'MUSTER_TLS_KEY_FILE'],
    [['--client-ca-file', 'c'], 'MUSTER_CLIENT_CA_FILE'],
    [PROXIES.filter((arg) => !arg.includes('client-ca')), 'MUSTER_CLIENT_CA_FILE'],
    [PROXIES.filter((arg) => !arg.includes('addresses')), 'MUSTER_PROXY_ADDRESSES'],
    [PROXIES.filter((arg) => !arg.includes('secret')), 'MUSTER_PROXY_SECRET_FILE'],
    [[...PROXIES, '--proxy-listen=0.0.0.0:8443'], 'MUSTER_TLS_CERT_FILE'],
    [[...PROXIES, '--proxy-ca-file=p'], 'MUSTER_PROXY_CA_FILE'],
    [[...PROXIES, '--dev-identity'], 'MUSTER_DEV_IDENTITY'],
    [['--proxy-secret-file', 's'], 'MUSTER_PROXY_SECRET_FILE'],
  ])('checks limits against each other: %j', (argv, name) => {
    expect(problems(argv, COMPLETE)).toEqual([expect.stringContaining(name)]);
  });

  it('takes a proxy of this machine without TLS', () => {
    expect(problems(PROXIES, COMPLETE)).toEqual([]);
  });

  it('wants a source and a trust file for workers only', () => {
    expect(problems([], DATABASE)).toEqual([
      expect.stringContaining('needs MUSTER_SOURCE'),
      expect.stringContaining('needs MUSTER_TRUST_FILE'),
    ]);
    expect(problems(['--roles', 'api,leader'], DATABASE)).toEqual([]);
    expect(problems(['--roles', 'api,cook'], DATABASE)).toHaveLength(1);
  });

  it('accepts each default by its own schema and the rules', () => {
    const untouched = Object.keys(ConfigSchema.properties).filter(
      (name) => envName(name) in COMPLETE,
    );
    expect(untouched).toHaveLength(4);
    expect(problems([], COMPLETE)).toEqual([]);
  });
});

describe('loadDatabaseConfig', () => {
  it('reads only what the database needs', () => {
    const env = { ...DATABASE, MUSTER_LISTEN_PORT: 'tcp://10.0.0.1:80' };
    expect(loadDatabaseConfig(['--schema', 'other'], env)).toEqual({
      ok: true,
      config: { databaseUrl: DATABASE.MUSTER_DATABASE_URL, schema: 'other', logLevel: 'info' },
    });
  });
});

describe('unknownVariables', () => {
  it('names what is misspelt, not what Kubernetes adds', () => {
    const env = {
      ...COMPLETE,
      MUSTER_SORCE: '/artifacts',
      MUSTER_SERVICE_HOST: '10.0.0.1',
      MUSTER_SERVICE_PORT_HTTP: '80',
      MUSTER_PORT_80_TCP_ADDR: '10.0.0.1',
      PATH: '/bin',
    };
    expect(unknownVariables(env)).toEqual(['MUSTER_SORCE']);
  });
});

describe('isLoopback', () => {
  it('knows the addresses that stay on the machine', () => {
    expect(['localhost', '127.0.0.1', '127.8.8.8', '::1'].every(isLoopback)).toBe(true);
    expect(['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.example'].some(isLoopback)).toBe(false);
  });
});
