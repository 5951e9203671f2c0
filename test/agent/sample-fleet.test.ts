/** The sample fleet is what it says at every size, and passes the control plane's own checks. */
import { expect, test } from 'vitest';
import { sampleFleet } from '../../src/cli/dev/sample-fleet.ts';
import { canonicalBytes, sha256Hex } from '../../src/trust/jcs.ts';
import { isObject, type JsonObject } from '../../src/trust/json.ts';
import { generateKey, signArtifact, trustFileFor } from '../../src/trust/sign.ts';
import { decodeTrust } from '../../src/trust/trust-file.ts';
import { verifyFleet, verifyManifest, type SignedBytes } from '../../src/trust/verify.ts';

const { key } = generateKey('ed25519');
const NOW = Date.parse('2026-11-01T12:00:00Z');

function signed(json: JsonObject): SignedBytes {
  const before = json['meta'];
  const meta = { ...(isObject(before) ? before : {}), signedAt: '2026-11-01T12:00:00Z' };
  const bytes = Buffer.from(JSON.stringify({ ...json, meta }));
  return { bytes, sig: signArtifact(bytes, key) };
}

test.each([6, 24, 2_000])('%i hosts', (count) => {
  const trust = decodeTrust(Buffer.from(trustFileFor(key)));
  if (!trust.ok) throw new Error(trust.detail);
  const context = { trust: trust.value, now: NOW };
  const sample = sampleFleet(count, 'ab'.repeat(20), 2);
  const fleet = verifyFleet(signed(sample.fleet), context);
  if (!fleet.ok) throw new Error(fleet.detail);
  const { hosts, waves, edges, channelEdges, disruptionBudgets } = fleet.artifact.value;
  expect(hosts.size).toBe(count);
  expect([...waves.values()].map((list) => list.length)).toEqual([2, 3]);
  expect([edges.length, channelEdges.length, disruptionBudgets.length]).toEqual([1, 1, 2]);
  for (const [rolloutId, manifest] of sample.manifests) {
    const bound = { ...manifest, fleetResolvedHash: fleet.artifact.hash };
    const checked = verifyManifest(signed(bound), {
      ...{ ...context, rolloutId, fleetHash: fleet.artifact.hash },
    });
    if (!checked.ok) throw new Error(checked.detail);
    const sorted = checked.artifact.value.hostSet.map(({ hostname }) => hostname);
    expect(sorted).toEqual([...sorted].sort());
    for (const { hostname, targetClosure } of checked.artifact.value.hostSet) {
      expect(hosts.get(hostname)?.closureHash).toBe(targetClosure);
    }
  }
});

test('another ref is another closure on every host', () => {
  const [one, two] = ['aa', 'bb'].map((ref) => sampleFleet(24, ref, 2).fleet['hosts'] ?? null);
  const closures = (hosts: typeof one) => new Set(JSON.stringify(hosts).match(/[0-9a-f]{32}/g));
  const shared = [...closures(one)].filter((closure) => closures(two).has(closure));
  expect(shared).toEqual([]);
  expect(sha256Hex(canonicalBytes(one ?? null))).not.toBe(sha256Hex(canonicalBytes(two ?? null)));
});
