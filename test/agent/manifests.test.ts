/** The second verification: what an agent refuses, and how little it asks for. */
import { expect, test } from 'vitest';
import { Manifests } from '../../src/agent/manifests.ts';
import { ManualClock } from './support/clock.ts';
import { TestHost } from './support/host.ts';
import {
  MemorySource,
  releaseInMemory,
  ROLLOUT,
  SIGNED_AT,
  target,
  trust,
} from './support/release.ts';

const never = new AbortController().signal;

function manifestsOf(source: MemorySource, now = '2026-11-01T12:10:00Z', reuseMs = 0): Manifests {
  return new Manifests(source, trust, new ManualClock(now), { freshnessMinutes: 60, reuseMs });
}

test('a host finds its target, its wave and the policy of its channel', async () => {
  const source = releaseInMemory({ policy: 'rollback-and-halt' });
  await expect(manifestsOf(source).warrant(ROLLOUT, 'web-01', never)).resolves.toEqual({
    ok: true,
    warrant: {
      ...{ channel: 'stable', wave: 0, targetClosure: target('web-01') },
      policy: 'rollback-and-halt',
    },
  });
});

test.each([
  ['a host that is not in the set', releaseInMemory(), ROLLOUT, 'mail-01', 'not-in-manifest'],
  ['a forged signature', releaseInMemory({ forged: true }), ROLLOUT, 'web-01', 'bad-signature'],
  [
    ...(['signed too long ago', releaseInMemory({ signedAt: '2026-11-01T11:08:00Z' })] as const),
    ...([ROLLOUT, 'web-01', 'stale'] as const),
  ],
  ['a rollout that is not served', releaseInMemory(), 'stable@ff', 'web-01', 'unavailable'],
])('refuses %s', async (_, source, rolloutId, hostname, reason) => {
  const found = await manifestsOf(source).warrant(rolloutId, hostname, never);
  expect(found).toMatchObject({ ok: false, reason });
});

test('refuses a manifest under another name', async () => {
  const source = releaseInMemory();
  const renamed = new MemorySource();
  renamed.artifact = (name, etag) =>
    source.artifact(name === 'rollouts/stable@ff' ? `rollouts/${ROLLOUT}` : name, etag);
  renamed.signature = (name) =>
    source.signature(name === 'rollouts/stable@ff' ? `rollouts/${ROLLOUT}` : name);
  const found = await manifestsOf(renamed).warrant('stable@ff', 'web-01', never);
  expect(found).toMatchObject({ ok: false, reason: 'wrong-rollout-id' });
});

test('what was verified is kept, but grows stale all the same', async () => {
  const source = releaseInMemory();
  const clock = new ManualClock(SIGNED_AT);
  const settings = { freshnessMinutes: 60, reuseMs: 0 };
  const manifests = new Manifests(source, trust, clock, settings);
  expect(await manifests.warrant(ROLLOUT, 'web-01', never)).toMatchObject({ ok: true });
  await clock.advance(59 * 60_000);
  expect(await manifests.warrant(ROLLOUT, 'web-01', never)).toMatchObject({ ok: true });
  await clock.advance(3 * 60_000);
  const late = await manifests.warrant(ROLLOUT, 'web-01', never);
  expect(late).toMatchObject({ ok: false, reason: 'stale' });
});

test('an older signing than the one already accepted is refused', async () => {
  const first = releaseInMemory();
  const manifests = manifestsOf(first);
  await manifests.warrant(ROLLOUT, 'web-01', never);
  const older = releaseInMemory({ signedAt: '2026-11-01T11:59:00Z' });
  first.artifact = (name, etag) => older.artifact(name, etag);
  first.signature = (name) => older.signature(name);
  // A refusal is tried once afresh, but not from nothing: when it was signed is remembered.
  expect(await manifests.warrant(ROLLOUT, 'web-01', never)).toMatchObject({
    ok: false,
    reason: 'rollback',
  });
});

test('many hosts that ask at once cost one look', async () => {
  const source = releaseInMemory();
  const manifests = manifestsOf(source, undefined, 2_000);
  await Promise.all(
    ['web-01', 'web-02', 'db-01'].map((host) => manifests.warrant(ROLLOUT, host, never)),
  );
  await manifests.warrant(ROLLOUT, 'web-01', never);
  expect(source.asked).toBe(2);
});

test('a dispatch that the signed manifest does not bear out is refused and not acknowledged', async () => {
  const host = new TestHost();
  await host.start();
  await host.dispatch(0, { targetClosure: 'an-attackers-closure' });
  await host.clock.advance(60_000);
  expect(host.controlPlane.posts).toEqual([]);
  expect(host.switched).toEqual([]);
  expect(host.warnings).toEqual(['dispatch refused: the signed manifest names another closure']);
  await host.stop();
});
