import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/trust/json.ts';
import {
  type AcceptedManifest,
  type SetContext,
  type SetResult,
  type VerifiedSet,
  verifySet,
} from '../../src/trust/set.ts';
import { type SignedBytes, verifyFleet } from '../../src/trust/verify.ts';
import {
  fleetDocument,
  host,
  manifestDocument,
  meta,
  MINUTE,
  NOW,
  REF,
  SIGNED_AT,
  signed,
  target,
  trust,
} from './support.ts';

const LATER = '2026-11-01T12:05:00Z';
const context: SetContext = { trust, now: NOW };

interface Source {
  fleet: SignedBytes;
  manifests: Map<string, SignedBytes>;
}

function source(change: JsonObject = {}, manifestChange: JsonObject = {}): Source {
  const fleet = signed(fleetDocument(change));
  const verified = verifyFleet(fleet, context);
  const hash = verified.ok ? verified.artifact.hash : '0'.repeat(64);
  const manifests = new Map<string, SignedBytes>();
  for (const channel of ['edge', 'stable']) {
    manifests.set(`${channel}@${REF}`, signed(manifestDocument(channel, hash, manifestChange)));
  }
  return { fleet, manifests };
}

function check({ fleet, manifests }: Source, change: Partial<SetContext> = {}): SetResult {
  return verifySet(fleet, (id) => manifests.get(id), { ...context, ...change });
}

function refusals(result: SetResult): string[] {
  return result.ok ? [] : result.refusals.map(({ artifact, reason }) => `${artifact} ${reason}`);
}

function setOf(result: SetResult): VerifiedSet {
  if (!result.ok) throw new Error(JSON.stringify(result.refusals));
  return result.set;
}

describe('verifySet', () => {
  it('takes the fleet with the manifest of every channel that declares a rollout', () => {
    const { manifests } = setOf(check(source()));
    expect([...manifests.keys()]).toEqual([`edge@${REF}`, `stable@${REF}`]);
  });

  it('asks no manifest of a channel whose hosts have no closure, nor without a ref', () => {
    const hosts = { 'edge-1': { ...host('edge'), closureHash: null }, 'web-1': host('stable') };
    const { fleet, manifests } = source({ hosts });
    manifests.delete(`edge@${REF}`);
    expect(setOf(check({ fleet, manifests })).manifests.size).toBe(1);
    const noRef = source({ meta: meta({ ciCommit: null }) });
    expect(setOf(check({ ...noRef, manifests: new Map() })).manifests.size).toBe(0);
  });

  it('names every refused artifact', () => {
    const { fleet, manifests } = source();
    manifests.delete(`edge@${REF}`);
    manifests.set(`stable@${REF}`, signed(manifestDocument('stable', 'e'.repeat(64))));
    expect(refusals(check({ fleet, manifests }))).toEqual([
      `rollouts/edge@${REF} missing`,
      `rollouts/stable@${REF} wrong-fleet-hash`,
    ]);
  });

  it('stops at a refused fleet', () => {
    expect(refusals(check({ ...source({ schemaVersion: 2 }), manifests: new Map() }))).toEqual([
      'fleet.resolved unsupported-schema-version',
    ]);
  });

  it('refuses mix and match: manifests of another fleet, or swapped between channels', () => {
    const [one, other] = [
      source(),
      source({ disruptionBudgets: [{ selector: {}, maxInFlight: 1 }] }),
    ];
    expect(refusals(check({ fleet: one.fleet, manifests: other.manifests }))).toEqual([
      `rollouts/edge@${REF} wrong-fleet-hash`,
      `rollouts/stable@${REF} wrong-fleet-hash`,
    ]);
    const edge = one.manifests.get(`edge@${REF}`);
    if (edge === undefined) throw new Error('no edge manifest');
    one.manifests.set(`stable@${REF}`, edge);
    expect(refusals(check(one))).toEqual([`rollouts/stable@${REF} wrong-rollout-id`]);
  });

  it('holds fleet and manifests to the largest window, so that one channel never stops another', () => {
    const limit = Date.parse(SIGNED_AT) + 121 * MINUTE;
    expect(check(source(), { now: limit - 30 * MINUTE }).ok).toBe(true);
    expect(check(source(), { now: limit }).ok).toBe(true);
    expect(refusals(check(source(), { now: limit + 1 }))).toEqual(['fleet.resolved stale']);
    const fresh = source({ meta: meta({ signedAt: LATER }) });
    expect(refusals(check(fresh, { now: limit + 1 }))).toEqual([
      `rollouts/edge@${REF} stale`,
      `rollouts/stable@${REF} stale`,
    ]);
  });

  it("holds the manifest's own waves against the fleet's edges", () => {
    const files = source({ edges: [{ gated: 'db-1', gates: 'web-1' }] });
    const verified = verifyFleet(files.fleet, context);
    if (!verified.ok) throw new Error(verified.detail);
    const turned = { hostSet: [target('db-1', 0), target('web-1', 1)] };
    const document = manifestDocument('stable', verified.artifact.hash, turned);
    files.manifests.set(`stable@${REF}`, signed(document));
    expect(refusals(check(files))).toEqual([`rollouts/stable@${REF} configuration-deadlock`]);
  });
});

describe('verifySet after an accepted set', () => {
  const first = setOf(check(source()));
  const accepted = (signedAt: string, opened: boolean) => ({
    fleetSignedAt: Date.parse(SIGNED_AT),
    manifests: new Map<string, AcceptedManifest>(
      [...first.manifests].map(([id, { value }]) => [
        id,
        {
          signedAt: Date.parse(signedAt),
          ...(opened ? { openedContentHash: value.contentHash } : {}),
        },
      ]),
    ),
  });

  it('takes the same again, and the same signed later', () => {
    const previous = accepted(SIGNED_AT, true);
    expect(check(source(), { previous }).ok).toBe(true);
    const resigned = source(
      { meta: meta({ signedAt: LATER }) },
      { meta: meta({ signedAt: LATER }) },
    );
    expect(check(resigned, { previous }).ok).toBe(true);
  });

  it('refuses an older fleet and older manifests', () => {
    const newerFleet = { ...accepted(SIGNED_AT, true), fleetSignedAt: Date.parse(LATER) };
    expect(refusals(check(source(), { previous: newerFleet }))).toEqual([
      'fleet.resolved rollback',
    ]);
    expect(refusals(check(source(), { previous: accepted(LATER, true) }))).toEqual([
      `rollouts/edge@${REF} rollback`,
      `rollouts/stable@${REF} rollback`,
    ]);
  });

  it('refuses another content under an opened id, and takes it under one not yet opened', () => {
    const changed = source({}, { healthGate: { maxFailures: 5 } });
    expect(refusals(check(changed, { previous: accepted(SIGNED_AT, true) }))).toEqual([
      `rollouts/edge@${REF} rollout-mutated`,
      `rollouts/stable@${REF} rollout-mutated`,
    ]);
    expect(check(changed, { previous: accepted(SIGNED_AT, false) }).ok).toBe(true);
  });
});
