/**
 * A bearer token as text: `muster_<id>_<secret>`. The prefix is for scanners that look for leaked secrets, the
 * id for people and logs; the secret is 256 bits of chance, so that its plain SHA-256 is as good as it: there
 * is nothing to guess, and a slow hash (bcrypt) would slow down only us, at every request.
 */

/** 64 bits: ids meet by chance once in billions of tokens, and then the second is refused. */
const ID_DIGITS = 16;
const SECRET_DIGITS = 64;

export const TOKEN_ID_PATTERN = `^[0-9a-f]{${String(ID_DIGITS)}}$`;
export const SECRET_HASH_PATTERN = '^[0-9a-f]{64}$';
/** For scanners and for us alike. */
const TOKEN = new RegExp(
  `^muster_([0-9a-f]{${String(ID_DIGITS)}})_([0-9a-f]{${String(SECRET_DIGITS)}})$`,
);

/**
 * A month unless asked otherwise, as an agent's certificate lives: what was forgotten is gone soon. A year at
 * the most: whatever holds one for longer has nobody left who knows of it.
 */
export const LIFETIME_HOURS = { usual: 30 * 24, most: 366 * 24 } as const;

export interface TokenParts {
  readonly tokenId: string;
  /** What is hashed: the digits as they are written. */
  readonly secret: string;
}

/** Whether a refusal's `proof` speaks of a token; else it is a certificate's, and no token mends it. */
export function isOfToken(proof: string): boolean {
  return proof.startsWith('token');
}

/** Far more than a token has, and less than what a server takes for a header. */
const MOST_CHARACTERS = 4_096;

/** What is wrong with a text that no header can carry as a credential; null: nothing. */
export function unsendable(text: string): string | null {
  if (text.length > MOST_CHARACTERS)
    return `has ${String(text.length)} characters, which is no token: copy the token alone`;
  const at = text.search(/[^\x21-\x7e]/);
  if (at < 0) return null;
  // By its number: what was copied from a page is invisible, most often.
  const code = text.charCodeAt(at).toString(16).toUpperCase().padStart(4, '0');
  return `has a character that no token has (U+${code}, at place ${String(at + 1)} of ${String(text.length)}): copy it again`;
}

export function parseToken(text: string): TokenParts | null {
  const [, tokenId, secret] = TOKEN.exec(text) ?? [];
  return tokenId === undefined || secret === undefined ? null : { tokenId, secret };
}

export function formatToken({ tokenId, secret }: TokenParts): string {
  return `muster_${tokenId}_${secret}`;
}

/** How many random bytes make each part. */
export const TOKEN_BYTES = { tokenId: ID_DIGITS / 2, secret: SECRET_DIGITS / 2 } as const;
