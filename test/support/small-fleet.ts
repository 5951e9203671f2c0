/** A small declared fleet, straight into the artifact table: signatures are not what these tests are about. */
import { storeArtifacts } from '../../src/db/artifacts.ts';
import type { Pool } from '../../src/db/pool.ts';
import type { OperatorInput } from '../../src/reducer/input.ts';
import type { StoredFleet, StoredManifest } from '../../src/wire/content.ts';
import type { StoredInput, StoredManifestSet } from '../../src/wire/input.ts';

export interface SmallFleet {
  readonly rolloutId: string;
  readonly hosts: readonly string[];
  /** Announces the declared set. */
  readonly input: StoredManifestSet;
}

const CHANNEL = 'stable';

/** One channel, `size` hosts that all move to the closure of `ref`, in one wave, or the last `second` in another. */
export async function declareFleet(
  pool: Pool,
  size: number,
  ref: string,
  soakMinutes = 0,
  second = 0,
): Promise<SmallFleet> {
  const hosts = Array.from({ length: size }, (_, i) => `host-${String(i).padStart(4, '0')}`);
  const waves = [hosts.slice(0, size - second), hosts.slice(size - second)];
  const signedAt = new Date().toISOString();
  const rolloutId = `${CHANNEL}@${ref}`;
  const target = `closure-${ref}`;
  const fleet: StoredFleet = {
    v: 1,
    hash: `fleet-${ref}`,
    signedAt,
    ref,
    hosts: hosts.map((name) => [name, CHANNEL, target]),
    channels: [[CHANNEL, { rolloutPolicy: 'default', freshnessWindow: 60 }]],
    policies: [
      ['default', { waves: [], onHealthFailure: 'halt', onNewRef: 'supersede', maxFailures: null }],
    ],
    waves: [
      [CHANNEL, waves.filter((of) => of.length > 0).map((of) => ({ hosts: of, soakMinutes }))],
    ],
    edges: [],
    channelEdges: [],
  };
  const manifest: StoredManifest = {
    v: 1,
    rolloutId,
    hash: `manifest-${ref}`,
    displayName: rolloutId,
    channel: CHANNEL,
    channelRef: ref,
    signedAt,
    contentHash: `content-${ref}`,
    hostSet: waves.flatMap((of, waveIndex) =>
      of.map((hostname) => ({ hostname, waveIndex, targetClosure: target })),
    ),
    maxFailures: size,
    budgets: [],
  };
  const file = { bytes: Buffer.from('{}'), signature: Buffer.alloc(64), signedAt };
  await storeArtifacts(
    pool,
    [
      { kind: 'fleet', name: 'fleet.resolved', hash: fleet.hash, ...file, content: text(fleet) },
      { kind: 'manifest', name: rolloutId, hash: manifest.hash, ...file, content: text(manifest) },
    ],
    signedAt,
  );
  const manifests = [{ rolloutId, hash: manifest.hash }];
  return {
    rolloutId,
    hosts,
    input: { kind: 'ManifestSetUpdated', fleetHash: fleet.hash, manifests },
  };
}

function text(value: unknown): string {
  return JSON.stringify(value);
}

/** A command that concerns nobody in particular. */
export const PAUSE: OperatorInput = {
  ...{ kind: 'OperatorCommand', actor: 'ada', reason: 'test', expectedSeq: null },
  command: { command: 'PauseFleet' },
};

/** A heartbeat of a host that runs something old. */
export function heartbeat(hostname: string): StoredInput {
  return {
    kind: 'HostReport',
    hostname,
    at: new Date().toISOString(),
    currentClosure: 'closure-old',
    rolloutId: null,
    agentVersion: 'test',
    lastEventSeqByRollout: {},
  };
}

/** The events by which one host reaches its target, in order of seq from 1. */
export function journey(fleet: SmallFleet, hostname: string): StoredInput[] {
  const { rolloutId } = fleet;
  const closure = `closure-${rolloutId.split('@')[1] ?? ''}`;
  const later = new Date(Date.now() + 60_000).toISOString();
  const now = new Date().toISOString();
  const base = { kind: 'AgentEvent', hostname, rolloutId } as const;
  return [
    {
      ...base,
      event: {
        kind: 'DispatchAck',
        seq: 1,
        currentClosureAtDispatch: 'closure-old',
        receivedAt: now,
      },
    },
    {
      ...base,
      event: { kind: 'ActivationStarted', seq: 2, startedAt: now, switchMethod: 'test' },
    },
    {
      ...base,
      event: {
        kind: 'ActivationCompleted',
        seq: 3,
        observedCurrentClosure: closure,
        exitCode: 0,
        completedAt: now,
      },
    },
    {
      ...base,
      event: { kind: 'Converged', seq: 4, convergedAt: later, currentClosure: closure },
    },
  ];
}
