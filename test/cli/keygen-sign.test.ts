/** The way from nothing to a verified release directory, with the commands that the manual names. */
import { cp, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { keygen } from '../../src/cli/keygen.ts';
import { sign } from '../../src/cli/sign.ts';
import { verify } from '../../src/cli/verify.ts';
import { run, temporaryDirectory } from './support.ts';

const place = temporaryDirectory();
const good = fileURLToPath(new URL('../fixtures/good', import.meta.url));

async function mode(path: string): Promise<number> {
  return (await stat(path)).mode & 0o777;
}

describe.each(['ed25519', 'ecdsa-p256'])('keygen, sign, verify with %s', (algorithm) => {
  it('make a release that verifies', async () => {
    const made = await run(keygen, '--out', place('keys'), '--algorithm', algorithm, '--json');
    const [key, trust] = [place('keys/release-key.pem'), place('keys/trust.json')];
    expect(made).toMatchObject({ code: 0, json: { ok: true, key, trust, algorithm } });
    expect(await mode(key)).toBe(0o600);

    await cp(good, place('release'), { recursive: true });
    const fleet = place('release/fleet.resolved.json');
    expect(await run(verify, fleet, '--trust', trust)).toMatchObject({ code: 1 });
    const signed = await run(sign, '--key', key, '--stamp', '--json', place('release'));
    expect(signed).toMatchObject({ code: 0, json: { ok: true } });
    const verified = await run(verify, fleet, '--trust', trust);
    expect(verified).toMatchObject({ code: 0, json: { ok: true } });
  });
});

describe('muster keygen', () => {
  it('overwrites nothing without --force, and then tightens the mode again', async () => {
    await mkdir(place('keys'));
    await writeFile(place('keys/release-key.pem'), 'old', { mode: 0o644 });
    const refused = await run(keygen, '--out', place('keys'));
    expect(refused).toMatchObject({ code: 2, stdout: '' });
    expect(refused.stderr).toMatch(/release-key\.pem exists: .*--force/);
    expect(await readFile(place('keys/release-key.pem'), 'utf8')).toBe('old');
    expect(await run(keygen, '--out', place('keys'), '--force')).toMatchObject({ code: 0 });
    expect(await mode(place('keys/release-key.pem'))).toBe(0o600);
  });

  it('leaves no key behind when only the trust file is in the way', async () => {
    await writeFile(place('trust.json'), 'mine');
    const refused = await run(keygen, '--out', place('keys'), '--trust', place('trust.json'));
    expect(refused.code).toBe(2);
    await expect(stat(place('keys'))).rejects.toThrow(/ENOENT/);
  });

  it('says what is wrong with its options', async () => {
    expect((await run(keygen)).stderr).toMatch(/--out DIR is required/);
    const rsa = await run(keygen, '--out', place('k'), '--algorithm', 'rsa', '--json');
    expect(rsa).toMatchObject({ code: 2, json: { ok: false } });
    expect(rsa.stderr).toMatch(/use ed25519 or ecdsa-p256/);
    await writeFile(place('file'), '');
    expect((await run(keygen, '--out', place('file'))).stderr).toMatch(/cannot write/);
  });
});

describe('muster sign', () => {
  it('signs single files in place', async () => {
    await run(keygen, '--out', place('keys'));
    await writeFile(place('a.json'), '{"a":1}');
    const signed = await run(sign, '--key', place('keys/release-key.pem'), place('a.json'));
    expect(signed).toMatchObject({ code: 0, stdout: `${place('a.json.sig')}\n` });
    expect(await readFile(place('a.json.sig'))).toHaveLength(64);
  });

  it('says what is wrong', async () => {
    await run(keygen, '--out', place('keys'));
    const key = place('keys/release-key.pem');
    await writeFile(place('twice.json'), '{"a":1,"a":1}');
    await mkdir(place('empty'));
    const cases: [string[], RegExp][] = [
      [['--key', key], /give files or a directory/],
      [[place('twice.json')], /--key FILE is required/],
      [['--key', place('none.pem'), place('twice.json')], /cannot read the key .*ENOENT/],
      [['--key', place('twice.json'), place('twice.json')], /not an unencrypted private key/],
      [['--key', key, place('twice.json')], /stands twice/],
      [['--key', key, place('absent.json')], /cannot read .*ENOENT/],
      [['--key', key, place('empty')], /holds no artifact/],
      [['--key', key, '--stamp', place('twice.json')], /--stamp is for directories/],
    ];
    for (const [args, message] of cases) {
      const { code, stderr } = await run(sign, ...args);
      expect(stderr).toMatch(message);
      expect(code).toBe(2);
    }
  });
});
