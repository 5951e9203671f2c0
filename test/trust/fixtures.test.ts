/** The cases that other implementations of the protocol are held to as well. */
import { Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { describe, expect, it } from 'vitest';
import { declaredRollouts } from '../../src/trust/fleet.ts';
import { verifySet } from '../../src/trust/set.ts';
import { decodeTrust } from '../../src/trust/trust-file.ts';
import { verifyFleet, verifyManifest } from '../../src/trust/verify.ts';
import { fixture, fixturePair, reasonOf, valueOf } from './support.ts';

const Case = Type.Object({ name: Type.String(), expect: Type.String() });
const Cases = Type.Object({
  now: Type.String(),
  freshnessWindowMinutes: Type.Number(),
  fleetResolvedHash: Type.String(),
  ref: Type.String(),
  cases: Type.Array(Case),
  manifestCases: Type.Array(Type.Object({ ...Case.properties, requestedRolloutId: Type.String() })),
});

const all = Value.Parse(Cases, JSON.parse(Buffer.from(fixture('cases.json')).toString()));
const decodedTrust = decodeTrust(fixture('trust.json'));
if (!decodedTrust.ok) throw new Error(decodedTrust.detail);
const context = {
  trust: decodedTrust.value,
  now: Date.parse(all.now),
  freshnessMinutes: all.freshnessWindowMinutes,
};

describe('fleet cases', () => {
  it.each(all.cases)('$name', ({ name, expect: reason }) => {
    expect(reasonOf(verifyFleet(fixturePair(`cases/${name}.json`), context))).toBe(reason);
  });

  it.each(all.cases)("$name, by the fleet's own window", ({ name, expect: reason }) => {
    const own = { trust: context.trust, now: context.now };
    expect(reasonOf(verifyFleet(fixturePair(`cases/${name}.json`), own))).toBe(reason);
  });
});

describe('manifest cases', () => {
  it.each(all.manifestCases)('$name', ({ name, requestedRolloutId, expect: reason }) => {
    const result = verifyManifest(fixturePair(`manifest-cases/${name}.json`), {
      ...context,
      rolloutId: requestedRolloutId,
      fleetHash: all.fleetResolvedHash,
    });
    expect(reasonOf(result)).toBe(reason);
  });
});

describe('the good set', () => {
  const fleetFiles = fixturePair('good/fleet.resolved.json');

  it('verifies as a set, keeps the exact bytes and has the hash that it should', () => {
    const result = verifySet(fleetFiles, (id) => fixturePair(`good/rollouts/${id}.json`), context);
    if (!result.ok) throw new Error(JSON.stringify(result.refusals));
    const { fleet, manifests } = result.set;
    expect(fleet.hash).toBe(all.fleetResolvedHash);
    expect(Buffer.from(fleet.bytes)).toEqual(fixture('good/fleet.resolved.json'));
    expect(Buffer.from(fleet.sig)).toEqual(fixture('good/fleet.resolved.json.sig'));
    expect([...manifests.keys()]).toEqual([`edge@${all.ref}`, `stable@${all.ref}`]);
  });

  it('decodes without nulls, aliases and unknown fields', () => {
    const fleet = valueOf(verifyFleet(fleetFiles, context));
    expect(declaredRollouts(fleet).map(({ channel }) => channel)).toEqual(['edge', 'stable']);
    expect(fleet.hosts.get('canary-01')).toEqual({
      system: 'x86_64-linux',
      tags: ['canary'],
      channel: 'edge',
      closureHash: 'f5997fc1a987e048fd8eb42f06a113fb-nixos-system-canary-01',
    });
    expect(fleet.disruptionBudgets[1]).toEqual({
      selector: { tags: ['web'], tagsAny: [], hosts: [], all: false },
      maxInFlightPct: 50,
    });
    expect(fleet.rolloutPolicies.get('careful')).toMatchObject({
      healthGate: { systemdFailedUnits: { max: 0 } },
      onHealthFailure: 'rollback-and-halt',
      onNewRef: 'supersede',
    });
  });
});
