/**
 * A signed release of a few hosts, with the lists that strict mode wants, and the trust file for it, as a mounted
 * directory would hold them.
 */
import path from 'node:path';
import { developmentTrust, releaseOf } from '../../../src/cli/dev/release.ts';
import { makeScratchDir } from '../../support/scratch.ts';
import { oneWave } from '../../e2e/support/one-wave.ts';

export interface MountedRelease {
  readonly dir: string;
  readonly source: string;
  readonly trustFile: string;
}

export async function mountRelease(name: string): Promise<MountedRelease> {
  const dir = makeScratchDir(name);
  const { key, trustFile } = developmentTrust(dir);
  const lists = new Map([
    ['revocations.json', { schemaVersion: 1, revocations: [] }],
    ['bootstrap-nonces.json', { schemaVersion: 1, nonces: [] }],
  ]);
  const release = releaseOf(dir, oneWave(['a', 'b', 'c'], 'a'.repeat(40), 1), key, lists);
  await release.sign(Date.now());
  return { dir, source: path.resolve(release.source), trustFile };
}
