/** The authority's key in a file: for trials and small fleets. Whoever reads the file can make any host. */
import { createPrivateKey, createPublicKey, type KeyObject, sign as signRaw } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { AuthorityError, textOf, type Authority } from './authority.ts';
import type { Signer } from './signer.ts';

export function keyFileSigner(keyFile: string): Signer {
  return {
    async sign({ tbs }, authority) {
      const key = await readKey(keyFile, authority);
      // OpenSSL's own form of an ECDSA signature is the one in certificates.
      return signRaw(authority.algorithm === 'ed25519' ? null : 'sha256', tbs, key);
    },
    async check(authority) {
      await readKey(keyFile, authority);
    },
  };
}

async function readKey(keyFile: string, { native }: Authority): Promise<KeyObject> {
  let key: KeyObject;
  try {
    key = createPrivateKey(await readFile(keyFile));
  } catch (error) {
    throw new AuthorityError(
      `MUSTER_CA_KEY_FILE ${keyFile} is no unencrypted private key in PEM (${textOf(error)})`,
    );
  }
  if (createPublicKey(key).equals(native.publicKey)) return key;
  throw new AuthorityError(
    `MUSTER_CA_KEY_FILE ${keyFile} is not the key of the certificate in MUSTER_CA_CERT_FILE`,
  );
}
