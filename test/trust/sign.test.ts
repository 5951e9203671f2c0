import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { verifySet, type SetResult } from '../../src/trust/set.ts';
import { signArtifact, signDirectory, SigningError } from '../../src/trust/sign.ts';
import type { SignedBytes } from '../../src/trust/verify.ts';
import { fleetDocument, manifestDocument, NOW, REF, signer, trust } from './support.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'muster-sign-'));
});
afterEach(() => rm(dir, { recursive: true }));

async function put(path: string, value: unknown): Promise<void> {
  await mkdir(join(dir, 'rollouts'), { recursive: true });
  await writeFile(join(dir, path), JSON.stringify(value));
}

async function pair(path: string): Promise<SignedBytes> {
  const file = join(dir, path);
  return { bytes: await readFile(file), sig: await readFile(`${file}.sig`) };
}

async function verified(now: number): Promise<SetResult> {
  const ids = [`edge@${REF}`, `stable@${REF}`];
  const manifests = new Map<string, SignedBytes>();
  for (const id of ids) manifests.set(id, await pair(`rollouts/${id}.json`));
  return verifySet(await pair('fleet.resolved.json'), (id) => manifests.get(id), { trust, now });
}

describe('signDirectory', () => {
  it('with a stamp makes a directory of drafts into a set that verifies', async () => {
    await put('fleet.resolved.json', fleetDocument({ meta: { ciCommit: REF } }));
    await put('revocations.json', { schemaVersion: 1, revocations: [], meta: {} });
    for (const channel of ['edge', 'stable']) {
      await put(`rollouts/${channel}@${REF}.json`, manifestDocument(channel, 'unknown yet'));
    }
    const paths = await signDirectory(dir, signer, NOW);
    expect(paths).toEqual([
      'fleet.resolved.json',
      'revocations.json',
      `rollouts/edge@${REF}.json`,
      `rollouts/stable@${REF}.json`,
    ]);
    expect(await verified(NOW)).toMatchObject({ ok: true });
  });

  it('without one signs the files as they are', async () => {
    await put('fleet.resolved.json', fleetDocument());
    const before = await readFile(join(dir, 'fleet.resolved.json'));
    expect(await signDirectory(dir, signer)).toEqual(['fleet.resolved.json']);
    expect(await readFile(join(dir, 'fleet.resolved.json'))).toEqual(before);
  });

  it('says so when there is nothing to sign', async () => {
    await expect(signDirectory(dir, signer)).rejects.toThrow(SigningError);
  });
});

describe('signArtifact', () => {
  it('does not sign what nobody could verify', () => {
    expect(() => signArtifact(Buffer.from('{"a":1,"a":2}'), signer)).toThrow(/stands twice/);
  });
});
