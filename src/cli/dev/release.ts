/**
 * The development key, and the signed source directory that `muster serve` polls. A release is written
 * beside the one in force and put in its place by renaming a symbolic link, so that a poll never meets half
 * a set. Refs are new at every start: there is always something to roll out.
 */
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import type { JsonObject } from '../../trust/json.ts';
import {
  generateKey,
  loadSigningKey,
  signDirectory,
  trustFileFor,
  type SigningKey,
} from '../../trust/sign.ts';
import type { SampleFleet } from './sample-fleet.ts';

export interface DevTrust {
  readonly key: SigningKey;
  readonly trustFile: string;
}

/** The key of earlier runs, or a new one. */
export function developmentTrust(dataDir: string): DevTrust {
  const dir = path.join(dataDir, 'keys');
  mkdirSync(dataDir, { recursive: true });
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const keyFile = path.join(dir, 'release-key.pem');
  const trustFile = path.join(dataDir, 'trust.json');
  if (!existsSync(keyFile)) writeFileSync(keyFile, generateKey('ed25519').pem, { mode: 0o600 });
  const key = loadSigningKey(readFileSync(keyFile));
  writeFileSync(trustFile, trustFileFor(key));
  return { key, trustFile };
}

export interface Release {
  /** What `--source` names; always the newest signing. */
  readonly source: string;
  readonly rolloutIds: readonly string[];
  /** Signs the same content anew, so that it stays fresh. */
  sign(now: number): Promise<void>;
}

/** `lists`: more files of the source, looked at with each signing: revocations, nonces. */
export function releaseOf(
  dataDir: string,
  sample: SampleFleet,
  key: SigningKey,
  lists: ReadonlyMap<string, JsonObject> = new Map(),
): Release {
  const source = path.join(dataDir, 'source');
  const releases = path.join(dataDir, 'releases');
  let last: string | null = null;
  return {
    source,
    rolloutIds: [...sample.manifests.keys()],
    sign: async (now) => {
      const dir = path.join(releases, String(now));
      if (last === null) rmSync(releases, { recursive: true, force: true });
      write(dir, sample, lists);
      await signDirectory(dir, key, now);
      const link = `${source}.new`;
      rmSync(link, { force: true });
      symlinkSync(path.relative(dataDir, dir), link);
      renameSync(link, source);
      // A poll may still be reading the one before the last; the one before that is nobody's.
      if (last !== null) rmSync(last, { recursive: true, force: true });
      last = dir;
    },
  };
}

function write(dir: string, sample: SampleFleet, lists: ReadonlyMap<string, JsonObject>): void {
  mkdirSync(path.join(dir, 'rollouts'), { recursive: true });
  writeFileSync(path.join(dir, 'fleet.resolved.json'), JSON.stringify(sample.fleet));
  for (const [name, list] of lists) writeFileSync(path.join(dir, name), JSON.stringify(list));
  for (const [rolloutId, manifest] of sample.manifests) {
    writeFileSync(path.join(dir, 'rollouts', `${rolloutId}.json`), JSON.stringify(manifest));
  }
}
