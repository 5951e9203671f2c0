/**
 * Rollouts that go on beside the set that the source publishes: finish-first lets one through before its successor
 * opens. Its manifest ages meanwhile, and agents refuse an old one; where CI signs it again, the fresh signature is
 * taken like any other. Where CI does not, the gate `manifest-stale` says so.
 */
import type { AcceptedArtifact } from '../db/artifacts.ts';
import { declaredRollouts, type Fleet } from '../trust/fleet.ts';
import type { RolloutManifest } from '../trust/manifest.ts';
import {
  verifyResigned,
  type SetContext,
  type SetRefusal,
  type VerifiedSet,
} from '../trust/set.ts';
import type { SignedBytes, Verified } from '../trust/verify.ts';
import { isRolloutId, type RolloutId } from '../wire/ids.ts';

/** By rollout id: the accepted hash of what goes on although this fleet does not declare it. */
export type Running = ReadonlyMap<RolloutId, string>;

export function runningBeside(fleet: Fleet, accepted: readonly AcceptedArtifact[]): Running {
  const declared = new Set<string>(declaredRollouts(fleet).map(({ rolloutId }) => rolloutId));
  return new Map(
    accepted.flatMap(({ kind, name, hash, running }) =>
      kind === 'manifest' && running && isRolloutId(name) && !declared.has(name)
        ? [[name, hash] as const]
        : [],
    ),
  );
}

interface Resigned {
  readonly manifests: VerifiedSet['manifests'];
  readonly refusals: readonly SetRefusal[];
}

export function verifyRunning(
  fleet: Verified<Fleet>,
  running: Running,
  read: ReadonlyMap<string, SignedBytes>,
  context: SetContext,
): Resigned {
  const manifests = new Map<RolloutId, Verified<RolloutManifest>>();
  const refusals: SetRefusal[] = [];
  for (const [rolloutId, acceptedHash] of running) {
    const signed = read.get(rolloutId);
    if (signed === undefined) continue;
    const result = verifyResigned(fleet, rolloutId, signed, { ...context, acceptedHash });
    if (result === null) continue;
    if (result.ok) manifests.set(rolloutId, result.artifact);
    else {
      const { reason, detail } = result;
      refusals.push({ artifact: `rollouts/${rolloutId}`, reason, detail });
    }
  }
  return { manifests, refusals };
}
