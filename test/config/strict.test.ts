/** What strict mode asks for, when it asks, and that it says all of it at once. */
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config.ts';

const BARE = {
  MUSTER_DATABASE_URL: 'postgres://muster:pw@db.internal/muster',
  MUSTER_SOURCE: '/srv/releases',
  MUSTER_TRUST_FILE: '/etc/muster/trust.json',
};
const WHOLE = {
  ...BARE,
  MUSTER_DATABASE_URL: 'postgres://api:pw@db.internal/muster?sslmode=verify-full',
  MUSTER_LEADER_DATABASE_URL: 'postgres://leader:pw@db.internal/muster?sslmode=verify-full',
  MUSTER_TLS_CERT_FILE: '/etc/muster/tls.crt',
  MUSTER_TLS_KEY_FILE: '/etc/muster/tls.key',
  MUSTER_CLIENT_CA_FILE: '/etc/muster/ca.pem',
};

function problems(env: Readonly<Record<string, string>>, argv: readonly string[] = []): string {
  const loaded = loadConfig(argv, env);
  return loaded.ok ? '' : loaded.problems.join('\n');
}

describe('strict mode', () => {
  it('is on by itself, and names all that is missing at once', () => {
    const text = problems(BARE);
    for (const name of ['TLS_CERT_FILE', 'CLIENT_CA_FILE', 'LEADER_DATABASE_URL', 'STRICT=false']) {
      expect(text).toContain(`MUSTER_${name}`);
    }
    expect(text).toContain('sslmode=verify-full');
    expect(text).not.toContain('pw');
  });

  it('is content with what production has', () => {
    expect(problems(WHOLE)).toBe('');
  });

  it.each(Object.keys(WHOLE).filter((name) => !(name in BARE)))(
    'is not content without %s',
    (name) => {
      expect(problems({ ...WHOLE, [name]: '' })).not.toBe('');
    },
  );

  it('wants no authority’s key in a file, unless it is told to', () => {
    const file = { MUSTER_CA_CERT_FILE: '/ca.crt', MUSTER_CA_KEY_FILE: '/ca.key' };
    expect(problems({ ...WHOLE, ...file })).toContain('MUSTER_CA_SIGN_COMMAND');
    expect(problems({ ...WHOLE, ...file, MUSTER_CA_KEY_FILE_ALLOWED: 'true' })).toBe('');
  });

  it('is off where it is switched off, and in development', () => {
    expect(problems({ ...BARE, MUSTER_STRICT: 'false' })).toBe('');
    expect(problems(BARE, ['--dev-identity'])).toBe('');
    expect(problems({ ...BARE, MUSTER_STRICT: 'true' }, ['--dev-identity'])).toContain('exclude');
    // Development cannot be reached from elsewhere.
    expect(problems(BARE, ['--dev-identity', '--listen-host', '0.0.0.0'])).toContain('loopback');
  });

  it('asks of each role what it needs', () => {
    const url = 'postgres://x@127.0.0.1/muster';
    expect(problems({ ...BARE, MUSTER_DATABASE_URL: url }, ['--roles', 'leader,workers'])).toBe('');
    expect(problems({ ...BARE, MUSTER_DATABASE_URL: url }, ['--roles', 'api'])).not.toContain(
      'LEADER',
    );
  });

  it('is not fooled by the same login twice', () => {
    const same = WHOLE.MUSTER_DATABASE_URL;
    expect(problems({ ...WHOLE, MUSTER_LEADER_DATABASE_URL: same })).toContain('LEADER');
  });

  it.each(['?host=localhost', '?sslmode=verify-full&hostaddr=10.0.0.1', '?port=1'])(
    'is no address that the driver would not take: %s',
    (query) => {
      const env = { ...WHOLE, MUSTER_DATABASE_URL: `postgres://a@db/m${query}` };
      expect(problems(env)).toMatch(/MUSTER_DATABASE_URL .* names its server before the path/);
    },
  );

  it.each(['postgres:///m', 'postgres://a@/m', 'postgres://'])(
    'leaves no server to the environment: %s',
    (url) => {
      const named = /LEADER_DATABASE_URL .* names its server before the path/;
      expect(problems({ ...WHOLE, MUSTER_LEADER_DATABASE_URL: url })).toMatch(named);
    },
  );

  it('takes no two logins for different ones that the environment names, or that are one', () => {
    for (const [api, leader] of [
      ['db', 'leader@db'],
      ['api@db', 'db'],
      ['api@db', 'a%70i@db'],
    ]) {
      const env = {
        MUSTER_DATABASE_URL: `postgres://${api}/m?sslmode=verify-full`,
        MUSTER_LEADER_DATABASE_URL: `postgres://${leader}/m?sslmode=verify-full`,
      };
      expect(problems({ ...WHOLE, ...env })).toContain('a login of their own');
    }
  });

  it.each([
    ['postgres://a@localhost/m', true],
    ['postgres://a@127.0.0.1:5432/m', true],
    ['postgres://a@[::1]:5432/m', true],
    ['postgres://a@%2Frun%2Fpostgresql/m', true],
    ['postgres://a@db/m', false],
    ['postgres://a@db/m?sslmode=require', false],
    ['postgres://a@db/m?sslmode=verify-ca', false],
    ['postgres://a@localhost,db/m', false],
    ['postgres://a:p%40localhost@db/m', false],
    ['postgres://localhost@db/m', false],
    ['postgres://a@localhost.evil.example/m', false],
    // The driver reads several hosts here.
    ['postgres://a@db,x@localhost/m', false],
    ['postgres://a@localhost%2Cdb/m', false],
    ['postgres://a@%zz/m', false],
    ['postgres://a@db/m?sslmode=verify-full&sslrootcert=/ca.pem', true],
    ['postgres://a@db/m?sslrootcert=system', true],
  ])('of a database at %s: %s', (url, fine) => {
    const env = { ...WHOLE, MUSTER_DATABASE_URL: url };
    expect(problems(env).includes('MUSTER_DATABASE_URL crosses')).toBe(!fine);
  });
});
