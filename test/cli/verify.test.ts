import { fileURLToPath } from 'node:url';
import { copyFile, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { verify } from '../../src/cli/verify.ts';
import { type Outcome, run, temporaryDirectory } from './support.ts';

const place = temporaryDirectory();
const NOW = '2026-11-01T13:00:00Z';
const HASH = 'b90f439877863dea5e1bbe2e974e5231c7d47591dc3ceb04bc45746eddf0c20c';
const REF = '0388fb626ca89a127847443989334b8c29e17567';

const fixture = (path: string) => fileURLToPath(new URL(`../fixtures/${path}`, import.meta.url));

function check(file: string, ...more: string[]): Promise<Outcome> {
  return run(verify, file, '--trust', fixture('trust.json'), '--now', NOW, ...more);
}

describe('muster verify', () => {
  it('says ok and the hash, with exit 0, and a sentence for people unless --json', async () => {
    const plain = await check(fixture('good/fleet.resolved.json'));
    expect(plain).toMatchObject({ code: 0, json: { ok: true, hash: HASH } });
    expect(plain.stderr).toMatch(/verified/);
    const quiet = await check(fixture('good/fleet.resolved.json'), '--json');
    expect(quiet).toMatchObject({ code: 0, stderr: '', stdout: `{"ok":true,"hash":"${HASH}"}\n` });
  });

  it('says the reason, with exit 1', async () => {
    const stale = await check(fixture('cases/stale.json'));
    expect(stale).toMatchObject({ code: 1, json: { ok: false, reason: 'stale' } });
    expect(stale.stderr).toMatch(/refused, stale: signed 2026-10-30T12:00:00Z/);
  });

  it('takes another window, and another signature file', async () => {
    const stale = fixture('cases/stale.json');
    expect(await check(stale, '--freshness-minutes', '5000')).toMatchObject({ code: 0 });
    await copyFile(stale, place('copy.json'));
    const elsewhere = ['--sig', `${stale}.sig`, '--freshness-minutes', '5000'];
    expect(await check(place('copy.json'), ...elsewhere)).toMatchObject({ code: 0 });
  });

  it('takes a rollout manifest as soon as an id or a fleet hash is given', async () => {
    const file = fixture('manifest-cases/ok.json');
    const id = `edge@${REF}`;
    expect(await check(file, '--rollout-id', id, '--fleet-hash', HASH)).toMatchObject({ code: 0 });
    expect(await check(file, '--rollout-id', `stable@${REF}`)).toMatchObject({
      code: 1,
      json: { reason: 'wrong-rollout-id' },
    });
    expect(await check(file, '--fleet-hash', 'f'.repeat(64))).toMatchObject({
      code: 1,
      json: { reason: 'wrong-fleet-hash' },
    });
    expect(await check(file)).toMatchObject({ code: 1, json: { reason: 'malformed' } });
  });

  it('tells what to do when it cannot check, with exit 2', async () => {
    const file = fixture('good/fleet.resolved.json');
    const cases: [Promise<Outcome>, RegExp][] = [
      [check(place('absent.json')), /cannot read the artifact .*ENOENT.*check the path/],
      [check(file, '--sig', place('absent.sig')), /cannot read the signature/],
      [run(verify, file), /--trust FILE is required/],
      [run(verify, file, '--trust', file), /ciReleaseKey/],
      [run(verify), /exactly one artifact/],
      [check(file, '--nonsense'), /nonsense/],
      [check(file, '--now', 'today'), /RFC 3339/],
      [check(file, '--freshness-minutes', '-1'), /freshness-minutes/],
      [check(file, '--freshness-minutes', 'many'), /number of minutes/],
      [check(file, '--kind', 'letter'), /--kind letter/],
      [check(file, '--kind', 'fleet', '--rollout-id', 'x'), /manifest only/],
    ];
    for (const [outcome, message] of cases) {
      const { code, json, stderr } = await outcome;
      expect(stderr).toMatch(message);
      expect(code).toBe(2);
      expect(json).toMatchObject({ ok: false });
    }
  });

  it('refuses a directory in place of a file, in words', async () => {
    const { code, stderr } = await check(fixture('good'));
    expect(code).toBe(2);
    expect(stderr).toMatch(/EISDIR/);
  });

  it('checks the signed lists', async () => {
    await writeFile(place('r.json'), '{}');
    await writeFile(place('r.json.sig'), '');
    for (const kind of ['revocations', 'nonces']) {
      expect(await check(place('r.json'), '--kind', kind)).toMatchObject({
        code: 1,
        json: { reason: 'bad-signature' },
      });
    }
  });

  it('has a help', async () => {
    const { code, stdout } = await run(verify, '--help');
    expect(code).toBe(0);
    expect(stdout).toMatch(/--freshness-minutes/);
  });
});
