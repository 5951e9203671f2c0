/** What of a verified artifact is stored for decisions: the fields the core reads, normalised. */
import type { Fleet } from '../trust/fleet.ts';
import type { RolloutManifest } from '../trust/manifest.ts';
import type { Verified } from '../trust/verify.ts';
import type { StoredFleet, StoredManifest } from '../wire/content.ts';

export function storedFleet({ value, hash, signedAt }: Verified<Fleet>): StoredFleet {
  return {
    v: 1,
    hash,
    signedAt: timeOf(signedAt),
    ref: value.meta.ciCommit ?? null,
    hosts: [...value.hosts].map(([name, host]) => [name, host.channel, host.closureHash ?? null]),
    channels: [...value.channels].map(([name, { rolloutPolicy, freshnessWindow }]) => [
      name,
      { rolloutPolicy, freshnessWindow },
    ]),
    policies: [...value.rolloutPolicies].map(([name, policy]) => [
      name,
      {
        waves: policy.waves.map(({ soakMinutes }) => ({ soakMinutes })),
        onHealthFailure: policy.onHealthFailure,
        onNewRef: policy.onNewRef,
        maxFailures: policy.healthGate.maxFailures ?? null,
      },
    ]),
    waves: [...value.waves].map(([name, waves]) => [
      name,
      waves.map(({ hosts, soakMinutes }) => ({ hosts, soakMinutes })),
    ]),
    edges: value.edges.map(({ gated, gates }) => ({ gated, gates })),
    channelEdges: value.channelEdges.map(({ gated, gates }) => ({ gated, gates })),
  };
}

export function storedManifest({
  value,
  hash,
  signedAt,
}: Verified<RolloutManifest>): StoredManifest {
  const { rolloutId, displayName, channel, channelRef, contentHash } = value;
  return {
    v: 1,
    rolloutId,
    hash,
    displayName,
    channel,
    channelRef,
    contentHash,
    signedAt: timeOf(signedAt),
    hostSet: value.hostSet.map(({ hostname, waveIndex, targetClosure }) => ({
      hostname,
      waveIndex,
      targetClosure,
    })),
    maxFailures: value.healthGate.maxFailures ?? null,
    budgets: value.disruptionBudgets.map((budget) => ({
      selector: {
        tags: budget.selector.tags,
        tagsAny: budget.selector.tagsAny,
        hosts: budget.selector.hosts,
        channel: budget.selector.channel ?? null,
        all: budget.selector.all,
      },
      hosts: budget.hosts,
      maxInFlight: budget.maxInFlight ?? null,
      maxInFlightPct: budget.maxInFlightPct ?? null,
    })),
  };
}

export function timeOf(millis: number): string {
  return new Date(millis).toISOString();
}
