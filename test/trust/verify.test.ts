import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/trust/json.ts';
import { sha256Hex } from '../../src/trust/jcs.ts';
import {
  type VerifyContext,
  verifyFleet,
  verifyManifest,
  verifyNonces,
  verifyRevocations,
} from '../../src/trust/verify.ts';
import {
  fleetDocument,
  host,
  manifestDocument,
  meta,
  MINUTE,
  NOW,
  REF,
  reasonOf,
  SIGNED_AT,
  signed,
  target,
  trust,
  valueOf,
} from './support.ts';

const context: VerifyContext = { trust, now: NOW };
const signedAt = Date.parse(SIGNED_AT);
const fleetHash = 'f'.repeat(64);
const stable = { ...context, rolloutId: `stable@${REF}`, fleetHash };

function fleet(change: JsonObject, changedContext: Partial<VerifyContext> = {}): string {
  return reasonOf(verifyFleet(signed(fleetDocument(change)), { ...context, ...changedContext }));
}

function manifest(change: JsonObject, changedContext: object = {}): string {
  const document = manifestDocument('stable', fleetHash, change);
  return reasonOf(verifyManifest(signed(document), { ...stable, ...changedContext }));
}

describe('the order of checks', () => {
  it('interprets nothing before the signature is good', () => {
    const good = signed(fleetDocument());
    const other = signed(fleetDocument({ schemaVersion: 2, meta: {} }));
    expect(reasonOf(verifyFleet({ ...other, sig: good.sig }, context))).toBe('bad-signature');
    expect(reasonOf(verifyFleet({ bytes: Buffer.from('[]'), sig: good.sig }, context))).toBe(
      'bad-signature',
    );
    expect(reasonOf(verifyFleet({ bytes: Buffer.from('['), sig: good.sig }, context))).toBe(
      'not-canonicalisable',
    );
  });

  it('then the version, then the signing time, then the shape, then the age', () => {
    expect(fleet({ schemaVersion: 2, meta: {} })).toBe('unsupported-schema-version');
    expect(fleet({ meta: {}, hosts: 1 })).toBe('not-signed');
    expect(fleet({ hosts: 1 }, { now: NOW + 1e9 })).toBe('malformed');
    expect(fleet({ hosts: 1 }, { trust: { ...trust, rejectBefore: NOW } })).toBe('rejected-before');
  });
});

describe('a verified artifact', () => {
  it('stays what was verified, and makes no other', () => {
    const result = verifyFleet(signed(fleetDocument()), context);
    if (!result.ok) throw new Error(result.reason);
    const { artifact } = result;
    expect(() => Object.assign(artifact, { value: {} })).toThrow(TypeError);
    const another = (): unknown => Reflect.construct(artifact.constructor, [null, {}, {}, '', 0]);
    expect(another).toThrow('only verification');
    const { hosts, meta: how } = artifact.value;
    for (const part of [artifact.value, hosts, how, ...hosts.values()])
      expect(Object.isFrozen(part)).toBe(true);
    const entries = hosts as Map<string, unknown>;
    for (const change of [
      () => entries.set('a', 1),
      () => entries.delete('a'),
      () => {
        entries.clear();
      },
    ])
      expect(change).toThrow('stays as it was verified');
  });
});

describe('envelope', () => {
  it.each<[string, JsonObject, string]>([
    ['no schemaVersion', { schemaVersion: null }, 'unsupported-schema-version'],
    ['schemaVersion as text', { schemaVersion: '1' }, 'unsupported-schema-version'],
    ['another version in meta', { meta: meta({ schemaVersion: 2 }) }, 'unsupported-schema-version'],
    ['no version in meta', { meta: meta({ schemaVersion: null }) }, 'ok'],
    ['no meta', { meta: null }, 'not-signed'],
    ['signedAt null', { meta: meta({ signedAt: null }) }, 'not-signed'],
    ['signedAt not a time', { meta: meta({ signedAt: 'today' }) }, 'malformed'],
    ['signedAt a number', { meta: meta({ signedAt: 1 }) }, 'malformed'],
    ['signedAt with an offset', { meta: meta({ signedAt: '2026-11-01T14:00:00+02:00' }) }, 'ok'],
  ])('%s', (_name, change, reason) => {
    expect(fleet(change)).toBe(reason);
  });

  it('a signed document that is no object is malformed', () => {
    expect(reasonOf(verifyFleet(signed([]), context))).toBe('malformed');
  });
});

describe('age', () => {
  it('takes the largest window of a fleet, and 60 s of grace, to the millisecond', () => {
    const limit = signedAt + 120 * MINUTE + 60_000;
    expect(fleet({}, { now: limit })).toBe('ok');
    expect(fleet({}, { now: limit + 1 })).toBe('stale');
  });

  it('lets the caller set another window', () => {
    expect(fleet({}, { freshnessMinutes: 9 })).toBe('ok');
    expect(fleet({}, { freshnessMinutes: 8.9 })).toBe('stale');
  });

  it('refuses what is more than 60 s ahead', () => {
    expect(fleet({}, { now: signedAt - 60_000 })).toBe('ok');
    expect(fleet({}, { now: signedAt - 60_001 })).toBe('future-dated');
  });

  it('refuses what is older than the newest accepted; the same again is fine', () => {
    expect(fleet({}, { newestAccepted: signedAt })).toBe('ok');
    expect(fleet({}, { newestAccepted: signedAt + 1 })).toBe('rollback');
  });

  it('checks no window of a manifest unless asked', () => {
    expect(manifest({}, { now: NOW + 1e10 })).toBe('ok');
    expect(manifest({}, { now: NOW + 60 * MINUTE, freshnessMinutes: 60 })).toBe('stale');
  });
});

describe('manifest', () => {
  it('must be the one asked for', () => {
    expect(manifest({})).toBe('ok');
    expect(manifest({}, { rolloutId: `edge@${REF}` })).toBe('wrong-rollout-id');
    expect(manifest({}, { rolloutId: 'stable@ffff' })).toBe('wrong-rollout-id');
    expect(manifest({}, { fleetHash: 'e'.repeat(64) })).toBe('wrong-fleet-hash');
    expect(manifest({}, { rolloutId: undefined, fleetHash: undefined })).toBe('ok');
  });

  it('once opened may differ in meta and fleetResolvedHash, and in nothing else', () => {
    const opened = verifyManifest(signed(manifestDocument('stable', fleetHash)), stable);
    const openedContentHash = valueOf(opened).contentHash;
    const again = (change: JsonObject, more: object = {}) =>
      manifest(change, { openedContentHash, ...more });
    expect(again({ meta: meta({ signedAt: '2026-11-01T12:05:00Z' }) })).toBe('ok');
    const other = 'e'.repeat(64);
    expect(again({ fleetResolvedHash: other }, { fleetHash: other })).toBe('ok');
    expect(again({ healthGate: { maxFailures: null } })).toBe('ok');
    expect(again({ healthGate: { maxFailures: 9 } })).toBe('rollout-mutated');
    expect(again({ hostSet: [target('web-1', 0)] })).toBe('rollout-mutated');
    expect(again({ displayName: 'other' })).toBe('rollout-mutated');
    expect(again({ unknownToUs: 1 })).toBe('rollout-mutated');
  });

  it.each<[string, JsonObject]>([
    ['a host twice', { hostSet: [target('a', 0), target('a', 1)] }],
    ['a negative wave', { hostSet: [target('a', -1)] }],
    ['half a wave', { hostSet: [target('a', 0.5)] }],
    ['no host set', { hostSet: null }],
    ['a ref in capitals', { channelRef: 'ABC' }],
    ['a channel with a slash', { channel: '../x' }],
    ['a hash that is none', { fleetResolvedHash: 'abc' }],
    ['a host name with a NUL', { hostSet: [target('a\0', 0)] }],
  ])('malformed: %s', (_name, change) => {
    expect(manifest(change, { rolloutId: undefined, fleetHash: undefined })).toBe('malformed');
  });

  it('is not a fleet, nor a fleet a manifest', () => {
    expect(reasonOf(verifyFleet(signed(manifestDocument('stable', fleetHash)), context))).toBe(
      'malformed',
    );
    expect(reasonOf(verifyManifest(signed(fleetDocument()), stable))).toBe('malformed');
  });
});

describe('fleet', () => {
  it.each<[string, JsonObject]>([
    ['no hosts', { hosts: null }],
    ['a host of an undeclared channel', { hosts: { a: host('nowhere') } }],
    ['a host name with a space', { hosts: { 'a b': host('edge') } }],
    ['a host name of 254', { hosts: { ['a'.repeat(254)]: host('edge') } }],
    ['a channel in capitals', { channels: { Edge: { rolloutPolicy: 'x', freshnessWindow: 1 } } }],
    ['a ref that is not hexadecimal', { meta: meta({ ciCommit: 'main' }) }],
    ['no freshness window', { channels: { edge: { rolloutPolicy: 'x' } } }],
    ['an unknown failure policy', { rolloutPolicies: { p: { onHealthFailure: 'shrug' } } }],
    ['an edge to nobody', { edges: [{ gated: 'a' }] }],
    ['more than all', { disruptionBudgets: [{ selector: {}, maxInFlightPct: 101 }] }],
    ['a null in a list', { edges: [null] }],
  ])('malformed: %s', (_name, change) => {
    expect(fleet(change)).toBe('malformed');
  });

  it('refuses a soak without end, and more waves than anybody plans', () => {
    const soaking = (soakMinutes: number, waves = 1) =>
      fleet({ waves: { stable: Array(waves).fill({ hosts: [], soakMinutes }) } });
    expect(soaking(525_600)).toBe('ok');
    expect(soaking(525_601)).toBe('malformed');
    expect(soaking(1e12)).toBe('malformed');
    expect(soaking(0, 1_000)).toBe('ok');
    expect(soaking(0, 1_001)).toBe('malformed');
    const inWave = (waveIndex: number) =>
      manifest({ hostSet: [{ hostname: 'web-01', waveIndex, targetClosure: 'c' }] });
    expect(inWave(999)).toBe('ok');
    expect(inWave(1_000)).toBe('malformed');
    expect(inWave(2 ** 33)).toBe('malformed');
  });

  it('refuses a host called __proto__, and is not fooled by it', () => {
    const text = JSON.stringify(fleetDocument()).replaceAll('edge-1', '__proto__');
    expect(reasonOf(verifyFleet(signed(JSON.parse(text)), context))).toBe('malformed');
  });

  it('finds nobody under inherited names', () => {
    const value = valueOf(verifyFleet(signed(fleetDocument()), context));
    expect(value.hosts.get('constructor')).toBeUndefined();
  });

  it('reads the aliases of older producers; the new name wins', () => {
    const old = { ...host('edge'), system: null, platform: 'riscv' };
    const value = valueOf(
      verifyFleet(
        signed(
          fleetDocument({
            hosts: { 'edge-1': old, 'edge-2': { ...old, system: 'x86' } },
            channelEdges: [{ after: 'stable', before: 'edge', reason: null }],
          }),
        ),
        context,
      ),
    );
    expect(value.hosts.get('edge-1')?.system).toBe('riscv');
    expect(value.hosts.get('edge-2')?.system).toBe('x86');
    expect(value.channelEdges).toEqual([{ gated: 'stable', gates: 'edge' }]);
  });

  it('covers unknown fields by signature and hash, and drops them from the value', () => {
    const files = signed(fleetDocument({ later: { a: 1 } }));
    const result = verifyFleet(files, context);
    expect(valueOf(result)).not.toHaveProperty('later');
    const plain = verifyFleet(signed(fleetDocument()), context);
    expect(result.ok && plain.ok && result.artifact.hash !== plain.artifact.hash).toBe(true);
    const cut = { bytes: signed(fleetDocument()).bytes, sig: files.sig };
    expect(reasonOf(verifyFleet(cut, context))).toBe('bad-signature');
  });

  it('hashes the canonical form, whatever the file looks like', () => {
    const document = fleetDocument();
    const pretty = Buffer.from(JSON.stringify(document, null, 4));
    const result = verifyFleet({ bytes: pretty, sig: signed(document).sig }, context);
    if (!result.ok) throw new Error(result.detail);
    expect(result.artifact.hash).not.toBe(sha256Hex(pretty));
    expect(result.artifact.bytes).toBe(pretty);
    expect(result.artifact.signedAt).toBe(signedAt);
  });
});

describe('lists', () => {
  const list = (field: string, entries: JsonObject[] | null) => ({
    schemaVersion: 1,
    [field]: entries,
    meta: meta(),
  });

  it('revocations come with their times in UTC', () => {
    const entry = { hostname: 'web-1', notBefore: '2026-05-16T03:27:01+02:00', reason: null };
    expect(
      valueOf(verifyRevocations(signed(list('revocations', [entry])), context)).revocations,
    ).toEqual([{ hostname: 'web-1', notBefore: '2026-05-16T01:27:01.000Z' }]);
  });

  it('nonces too', () => {
    const entry = { nonce: 'n1', expiresAt: '2026-05-16T01:27:01Z' };
    expect(valueOf(verifyNonces(signed(list('nonces', [entry])), context)).nonces).toEqual([
      { nonce: 'n1', expiresAt: '2026-05-16T01:27:01.000Z' },
    ]);
  });

  it('a missing list fails closed, an empty one is fine', () => {
    expect(reasonOf(verifyRevocations(signed(list('revocations', null)), context))).toBe(
      'malformed',
    );
    expect(reasonOf(verifyRevocations(signed(list('revocations', [])), context))).toBe('ok');
    expect(reasonOf(verifyNonces(signed(list('revocations', [])), context))).toBe('malformed');
    const odd = { hostname: 'web-1', notBefore: 'soon' };
    expect(reasonOf(verifyRevocations(signed(list('revocations', [odd])), context))).toBe(
      'malformed',
    );
  });

  it('an older list than the one in force is a rollback', () => {
    const later = { ...context, newestAccepted: signedAt + 1 };
    expect(reasonOf(verifyRevocations(signed(list('revocations', [])), later))).toBe('rollback');
  });
});
