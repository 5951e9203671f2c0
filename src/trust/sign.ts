/**
 * Keys and signatures for trials, tests and CI. The control plane itself never signs: no server role
 * imports this file, and a private key belongs where releases are built.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign as signRaw,
} from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { canonicalBytes, sha256Hex } from './jcs.ts';
import { isObject, type Json, type JsonObject, parseStrict } from './json.ts';
import type { Algorithm } from './signature.ts';
import { formatTime } from './time.ts';

export interface SigningKey {
  readonly algorithm: Algorithm;
  readonly key: KeyObject;
  /** As in a trust file: base64 of 32 bytes, or of X‖Y. */
  readonly public: string;
}

/** A problem with what the caller gave, in a sentence for them. */
export class SigningError extends Error {}

export function generateKey(algorithm: Algorithm): { key: SigningKey; pem: string } {
  const { privateKey } =
    algorithm === 'ed25519'
      ? generateKeyPairSync('ed25519')
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    key: describeKey(privateKey),
    pem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

export function loadSigningKey(pem: string | Uint8Array): SigningKey {
  let key: KeyObject;
  try {
    key = createPrivateKey(Buffer.from(pem));
  } catch {
    throw new SigningError('not an unencrypted private key in PEM: make one with `muster keygen`');
  }
  return describeKey(key);
}

/** The text of a trust file with this one release key. */
export function trustFileFor(key: SigningKey): string {
  const current = { algorithm: key.algorithm, public: key.public };
  return `${JSON.stringify({ schemaVersion: 1, ciReleaseKey: { current } }, null, 2)}\n`;
}

/** A bootstrap token, as `POST /v1/enroll` takes it. */
export function signToken(claims: JsonObject, key: SigningKey) {
  const signature = Buffer.from(signValue(claims, key)).toString('base64');
  return { version: 1, claims, signature };
}

/** The raw 64-byte signature over the JCS bytes of a JSON text. */
export function signArtifact(bytes: Uint8Array, key: SigningKey): Uint8Array {
  return signValue(parseOrThrow(bytes), key);
}

/**
 * Signs every artifact of a directory in the source layout, each into `.sig` beside it, and names them.
 * With `stampAt` (ms) they are first dated anew, and the manifests bound to the fleet of that directory:
 * what CI does for a real release.
 */
export async function signDirectory(
  dir: string,
  key: SigningKey,
  stampAt?: number,
): Promise<string[]> {
  const paths = await artifactsIn(dir);
  if (paths.length === 0) {
    throw new SigningError(
      `${dir} holds no artifact: fleet.resolved.json and rollouts/*.json were expected`,
    );
  }
  let fleetHash: string | undefined;
  for (const path of paths) {
    const file = join(dir, path);
    let json = parseOrThrow(await readFile(file), file);
    if (stampAt !== undefined) {
      json = stamped(
        json,
        stampAt,
        path.startsWith('rollouts/') ? fleetHash : undefined,
        key.algorithm,
      );
      await writeFile(file, `${JSON.stringify(json, null, 2)}\n`);
    }
    if (path === FLEET) fleetHash = sha256Hex(canonicalBytes(json));
    await writeFile(`${file}.sig`, signValue(json, key));
  }
  return paths;
}

const FLEET = 'fleet.resolved.json';

/** The fleet first: the manifests carry its hash. */
async function artifactsIn(dir: string): Promise<string[]> {
  const top = await namesIn(dir);
  const rollouts = top.includes('rollouts') ? await namesIn(join(dir, 'rollouts')) : [];
  return [
    ...[FLEET, 'revocations.json', 'bootstrap-nonces.json'].filter((name) => top.includes(name)),
    ...rollouts.filter((name) => name.endsWith('.json')).map((name) => `rollouts/${name}`),
  ];
}

async function namesIn(dir: string): Promise<string[]> {
  return (await readdir(dir)).sort();
}

function stamped(
  json: Json,
  at: number,
  fleetHash: string | undefined,
  algorithm: Algorithm,
): Json {
  if (!isObject(json)) throw new SigningError('an artifact is a JSON object');
  const before = isObject(json.meta) ? json.meta : {};
  const meta = {
    schemaVersion: 1,
    ...before,
    signedAt: formatTime(at),
    signatureAlgorithm: algorithm,
  };
  const result: JsonObject = { ...json, meta };
  if (fleetHash !== undefined) result.fleetResolvedHash = fleetHash;
  return result;
}

function signValue(json: Json, { algorithm, key }: SigningKey): Uint8Array {
  const message = canonicalBytes(json);
  return algorithm === 'ed25519'
    ? signRaw(null, message, key)
    : signRaw('sha256', message, { key, dsaEncoding: 'ieee-p1363' });
}

function parseOrThrow(bytes: Uint8Array, file = 'the artifact'): Json {
  const parsed = parseStrict(bytes);
  if (!parsed.ok) throw new SigningError(`${file} cannot be signed: ${parsed.detail}`);
  return parsed.value;
}

function describeKey(key: KeyObject): SigningKey {
  const jwk = createPublicKey(key).export({ format: 'jwk' });
  if (jwk.kty === 'OKP' && jwk.crv === 'Ed25519')
    return { algorithm: 'ed25519', key, public: base64(jwk.x) };
  if (jwk.kty === 'EC' && jwk.crv === 'P-256') {
    return { algorithm: 'ecdsa-p256', key, public: base64(jwk.x, jwk.y) };
  }
  throw new SigningError('this key is neither ed25519 nor ecdsa-p256');
}

/** JWK coordinates are base64url and, by RFC 7518, always of full length. */
function base64(...coordinates: (string | undefined)[]): string {
  return Buffer.concat(coordinates.map((part) => Buffer.from(part ?? '', 'base64url'))).toString(
    'base64',
  );
}
