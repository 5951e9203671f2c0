/** A replica that issues certificates, with an organisation around it: root, release key, lists, authority. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { createAuthority } from '../../../src/ca/create.ts';
import { createIssuer, type Issuer } from '../../../src/ca/issue.ts';
import { keyFileSigner } from '../../../src/ca/key-file.ts';
import { trustReader } from '../../../src/api/enrolment/trust.ts';
import type { ApiDeps } from '../../../src/api/deps.ts';
import { storeArtifacts, type ArtifactKind } from '../../../src/db/artifacts.ts';
import type { Pool } from '../../../src/db/pool.ts';
import { makeRequest, type NewRequest } from '../../../src/trust/request.ts';
import { generateKey, signToken } from '../../../src/trust/sign.ts';
import type { JsonObject } from '../../../src/trust/json.ts';
import { silentLogger } from '../../support/installation.ts';
import { makeScratchDir } from '../../support/scratch.ts';

export const HOUR = 3_600_000;
export const SUFFIX = '.agents.test';

export interface Organisation {
  readonly options: NonNullable<ApiDeps['enrolment']>;
  readonly certFile: string;
  readonly trustFile: string;
  /** A token for this request, as JSON. */
  token(request: Pick<NewRequest, 'keyFingerprint'>, claims?: JsonObject): JsonObject;
}

export async function organisation(issuer?: Issuer): Promise<Organisation> {
  const dir = makeScratchDir('enrolment');
  const at = (name: string) => path.join(dir, name);
  const root = generateKey('ed25519').key;
  const release = generateKey('ed25519').key;
  const slot = ({ algorithm, public: key }: typeof root) => ({
    current: { algorithm, public: key },
  });
  const trust = { schemaVersion: 1, ciReleaseKey: slot(release), orgRootKey: slot(root) };
  writeFileSync(at('trust.json'), JSON.stringify(trust));
  const from = new Date(Date.now() - HOUR);
  const made = await createAuthority('fleet', from, new Date(Date.now() + 365 * 24 * HOUR));
  writeFileSync(at('ca.crt'), made.certPem);
  writeFileSync(at('ca.key'), made.keyPem);
  return {
    certFile: at('ca.crt'),
    trustFile: at('trust.json'),
    options: {
      issuer: issuer ?? createIssuer(at('ca.crt'), keyFileSigner(at('ca.key'))),
      trust: trustReader(at('trust.json'), silentLogger()),
      hostnameSuffix: SUFFIX,
      certificateMs: 30 * 24 * HOUR,
      backdateMs: 300_000,
    },
    token: ({ keyFingerprint }, claims = {}) => ({
      ...signToken(
        {
          ...{ hostname: 'web-01', expectedPubkeyFingerprint: keyFingerprint, nonce: 'n1' },
          issuedAt: new Date(Date.now() - 1_000).toISOString(),
          expiresAt: new Date(Date.now() + HOUR).toISOString(),
          ...claims,
        },
        root,
      ),
    }),
  };
}

/** Each list is newer than the one before it. */
let signedAt = Date.now() - HOUR;

export async function putList(pool: Pool, kind: ArtifactKind, content: object): Promise<void> {
  signedAt += 1_000;
  const bytes = Buffer.from(JSON.stringify({ ...content, signedAt }));
  const stored = await storeArtifacts(
    pool,
    [
      {
        ...{ kind, name: kind, hash: `${kind}-${String(signedAt)}`, bytes, signature: bytes },
        ...{ content: JSON.stringify(content), signedAt: new Date(signedAt).toISOString() },
      },
    ],
    new Date().toISOString(),
  );
  if (!stored) throw new Error('the list was not stored');
}

export interface Listed {
  readonly nonce: string;
  readonly hostname?: string;
  readonly expiresAt?: string;
}

export function putNonces(pool: Pool, nonces: readonly Listed[]): Promise<void> {
  const expiresAt = new Date(Date.now() + HOUR).toISOString();
  return putList(pool, 'nonces', { nonces: nonces.map((one) => ({ expiresAt, ...one })) });
}

export function newRequest(name = `web-01${SUFFIX}`): Promise<NewRequest> {
  return makeRequest(name);
}
