/** What a rollout pins when it opens, where the fleet, its policy and the manifest do not say the same. */
import { describe, expect, it } from 'vitest';
import type { FleetContent, ManifestContent } from '../../src/reducer/content.ts';
import { reduce } from '../../src/reducer/reduce.ts';
import { emptyState } from '../../src/reducer/state/state.ts';
import { EPOCH } from './support/fleet-spec.ts';
import { ScriptFleet } from './support/script-fleet.ts';

type Said = (fleet: FleetContent) => Partial<FleetContent>;

/** The plan of a@1, of two waves that soak for 7 and 8 minutes, as its declarations are changed by `said`. */
function planned(said: Said, waveOfLast = 1, manifestSays: Partial<ManifestContent> = {}) {
  const script = new ScriptFleet();
  script.declare('channel', ['a']);
  script.declare('wave', ['a', 'soak=7', 'a1']);
  script.declare('wave', ['a', 'soak=8', 'a2']);
  const { fleet, manifests } = script.content('1', new Map(), EPOCH);
  const [manifest] = manifests;
  if (manifest === undefined) throw new Error('a has no manifest');
  const hostSet = manifest.hostSet.map((host) =>
    host.hostname === 'a2' ? { ...host, waveIndex: waveOfLast } : host,
  );
  const state = emptyState();
  reduce(
    state,
    {
      kind: 'ManifestSetUpdated',
      fleet: { ...fleet, ...said(fleet) },
      manifests: [{ ...manifest, hostSet, ...manifestSays }],
    },
    EPOCH,
  );
  const plan = state.rollouts.get('a@1')?.row.plan;
  if (plan === undefined) throw new Error('a@1 did not open');
  return plan;
}

/** The policy says so of these waves, in minutes, and nothing of others. */
const policy =
  (...minutes: readonly number[]): Said =>
  ({ policies }) => ({
    policies: new Map(
      [...policies].map(([name, one]) => [
        name,
        { ...one, waves: minutes.map((soakMinutes) => ({ soakMinutes })) },
      ]),
    ),
  });

describe('the soak of each wave', () => {
  it("is the policy's, else the fleet's", () => {
    expect(planned(policy(3, 4)).soakMinutes).toEqual([3, 4]);
    expect(planned(policy(3)).soakMinutes).toEqual([3, 8]);
    expect(planned(policy()).soakMinutes).toEqual([7, 8]);
  });

  it('is an hour where neither says, in a wave that only the manifest has', () => {
    expect(planned(policy(), 3).soakMinutes).toEqual([7, 8, 60, 60]);
  });
});

it('no failure is tolerated where neither manifest nor policy names a number', () => {
  const unsaid: Said = ({ policies }) => ({
    policies: new Map([...policies].map(([name, one]) => [name, { ...one, maxFailures: null }])),
  });
  expect(planned(unsaid, 1, { maxFailures: null }).maxFailures).toBe(0);
});

describe('unstaged', () => {
  it('is who is in no wave, where the channel declares any', () => {
    const waves = [{ soakMinutes: 7, hosts: ['a1'] }];
    expect(planned(() => ({ waves: new Map([['a', waves]]) })).unstaged).toEqual(['a2']);
    expect(planned(() => ({ waves: new Map() })).unstaged).toEqual([]);
  });

  it('and whom the fleet does not declare', () => {
    const without: Said = ({ hosts }) => ({
      hosts: new Map([...hosts].filter(([name]) => name !== 'a1')),
    });
    expect(planned(without).unstaged).toEqual(['a1']);
    expect(planned((fleet) => ({ ...without(fleet), waves: new Map() })).unstaged).toEqual(['a1']);
  });
});
