/** A signed release of three hosts, made by a key of the test's own, served from memory. */
import type {
  ArtifactAnswer,
  ArtifactName,
  ArtifactSource,
} from '../../../src/agent/control-plane.ts';
import { canonicalBytes, sha256Hex } from '../../../src/trust/jcs.ts';
import type { JsonObject } from '../../../src/trust/json.ts';
import { generateKey, signArtifact, trustFileFor } from '../../../src/trust/sign.ts';
import { decodeTrust, type Trust } from '../../../src/trust/trust-file.ts';

export const SIGNED_AT = '2026-11-01T12:00:00Z';
export const REF = 'a1b2c3d4';
export const ROLLOUT = `stable@${REF}`;

const { key } = generateKey('ed25519');
const other = generateKey('ed25519').key;

export const trust: Trust = usable(decodeTrust(Buffer.from(trustFileFor(key))));

function usable(decoded: ReturnType<typeof decodeTrust>): Trust {
  if (!decoded.ok) throw new Error(decoded.detail);
  return decoded.value;
}

export interface ReleaseOptions {
  readonly policy?: 'halt' | 'rollback-and-halt';
  readonly ref?: string;
  readonly signedAt?: string;
  /** Sign with a key that nobody trusts. */
  readonly forged?: boolean;
}

export class MemorySource implements ArtifactSource {
  /** Requests for artifacts, signatures not counted. */
  asked = 0;
  private readonly files = new Map<string, { bytes: Uint8Array; sig: Uint8Array; etag: string }>();

  artifact(name: ArtifactName, etag: string | null): Promise<ArtifactAnswer> {
    this.asked += 1;
    const file = this.files.get(name);
    if (file === undefined) return Promise.resolve(absent(name));
    if (file.etag === etag) return Promise.resolve({ kind: 'unchanged' });
    return Promise.resolve({ kind: 'artifact', bytes: file.bytes, etag: file.etag });
  }

  signature(name: ArtifactName): Promise<ArtifactAnswer> {
    const file = this.files.get(name);
    if (file === undefined) return Promise.resolve(absent(name));
    return Promise.resolve({ kind: 'artifact', bytes: file.sig, etag: null });
  }

  /** From now on it has what `other` has. */
  become(other: MemorySource): void {
    this.files.clear();
    for (const [name, file] of other.files) this.files.set(name, file);
  }

  put(name: ArtifactName, json: JsonObject, forged = false): void {
    const bytes = Buffer.from(JSON.stringify(json));
    const sig = signArtifact(bytes, forged ? other : key);
    this.files.set(name, { bytes, sig, etag: `"${sha256Hex(bytes)}"` });
  }
}

export function releaseInMemory(options: ReleaseOptions = {}): MemorySource {
  const { policy = 'halt', ref = REF, signedAt = SIGNED_AT, forged = false } = options;
  const source = new MemorySource();
  const hosts = ['db-01', 'web-01', 'web-02'];
  const meta = { schemaVersion: 1, signedAt, ciCommit: ref };
  const fleet: JsonObject = {
    schemaVersion: 1,
    hosts: Object.fromEntries(
      hosts.map((host) => [host, { channel: 'stable', closureHash: target(host, ref), tags: [] }]),
    ),
    channels: { stable: { rolloutPolicy: 'p', freshnessWindow: 1440 } },
    rolloutPolicies: { p: { waves: [], healthGate: {}, onHealthFailure: policy } },
    waves: { stable: [{ hosts, soakMinutes: 5 }] },
    edges: [],
    channelEdges: [],
    disruptionBudgets: [],
    meta,
  };
  source.put('fleet.resolved', fleet);
  const hash = sha256Hex(canonicalBytes(fleet));
  const manifest: JsonObject = {
    schemaVersion: 1,
    displayName: 'test',
    channel: 'stable',
    channelRef: ref,
    fleetResolvedHash: hash,
    hostSet: hosts.map((hostname) => ({
      ...{ hostname, waveIndex: 0, targetClosure: target(hostname, ref) },
    })),
    healthGate: {},
    disruptionBudgets: [],
    meta,
  };
  source.put(`rollouts/stable@${ref}`, manifest, forged);
  return source;
}

export function target(host: string, ref = REF): string {
  return `${ref}-system-${host}`;
}

function absent(name: string): ArtifactAnswer {
  return { kind: 'trouble', reason: `HTTP 404: ${name}`, retryAfterMs: null };
}
