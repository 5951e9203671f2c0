/** Documents and signatures for the trust tests: a sound small set, to be broken in one place at a time. */
import { readFileSync } from 'node:fs';
import type { Json, JsonObject } from '../../src/trust/json.ts';
import { generateKey, signArtifact, type SigningKey, trustFileFor } from '../../src/trust/sign.ts';
import { decodeTrust, type Trust } from '../../src/trust/trust-file.ts';
import type { SignedBytes, VerifyReason, VerifyResult } from '../../src/trust/verify.ts';

export const REF = 'a1b2c3d4';
export const SIGNED_AT = '2026-11-01T12:00:00Z';
export const NOW = Date.parse('2026-11-01T12:10:00Z');
export const MINUTE = 60_000;

export const signer: SigningKey = generateKey('ed25519').key;
export const trust: Trust = trustOf(JSON.parse(trustFileFor(signer)));

export function trustOf(file: unknown): Trust {
  const decoded = decodeTrust(bytesOf(file));
  if (!decoded.ok) throw new Error(decoded.detail);
  return decoded.value;
}

export function bytesOf(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

export function signed(value: unknown, key: SigningKey = signer): SignedBytes {
  const bytes = bytesOf(value);
  return { bytes, sig: signArtifact(bytes, key) };
}

export function fixture(path: string): Uint8Array {
  return readFileSync(new URL(`../fixtures/${path}`, import.meta.url));
}

export function fixturePair(path: string): SignedBytes {
  return { bytes: fixture(path), sig: fixture(`${path}.sig`) };
}

export function reasonOf(result: VerifyResult<unknown>): VerifyReason | 'ok' {
  return result.ok ? 'ok' : result.reason;
}

export function valueOf<T>(result: VerifyResult<T>): T {
  if (!result.ok) throw new Error(`${result.reason}: ${result.detail}`);
  return result.artifact.value;
}

/** Two channels: `edge` (window 60 min) with one host, `stable` (120 min) with three in two waves. */
export function fleetDocument(change: JsonObject = {}): JsonObject {
  return {
    schemaVersion: 1,
    hosts: {
      'edge-1': host('edge'),
      'web-1': host('stable'),
      'web-2': host('stable'),
      'db-1': host('stable'),
    },
    channels: {
      edge: { rolloutPolicy: 'fast', freshnessWindow: 60 },
      stable: { rolloutPolicy: 'fast', freshnessWindow: 120 },
    },
    rolloutPolicies: { fast: { onHealthFailure: 'halt' } },
    waves: { stable: [wave('web-1', 'web-2'), wave('db-1')], edge: [wave('edge-1')] },
    edges: [],
    channelEdges: [],
    disruptionBudgets: [],
    meta: meta(),
    ...change,
  };
}

export function manifestDocument(
  channel: string,
  fleetHash: string,
  change: JsonObject = {},
): JsonObject {
  const hosts: JsonObject[] =
    channel === 'edge' ? [target('edge-1', 0)] : [target('db-1', 1), target('web-1', 0)];
  return {
    schemaVersion: 1,
    displayName: channel,
    channel,
    channelRef: REF,
    fleetResolvedHash: fleetHash,
    hostSet: hosts,
    healthGate: {},
    disruptionBudgets: [],
    meta: meta(),
    ...change,
  };
}

export function meta(change: JsonObject = {}): JsonObject {
  return { schemaVersion: 1, signedAt: SIGNED_AT, ciCommit: REF, ...change };
}

export function host(channel: string): JsonObject {
  return { system: 'x86_64-linux', tags: [], channel, closureHash: 'closure-1', pubkey: null };
}

export function target(hostname: string, waveIndex: number): JsonObject {
  return { hostname, waveIndex, targetClosure: 'closure-1' };
}

function wave(...hosts: Json[]): JsonObject {
  return { hosts, soakMinutes: 0 };
}
