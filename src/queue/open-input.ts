/** A claimed row as the reducer's input; a row that is none comes back as the reason. */
import type { Input } from '../reducer/input.ts';
import { contentHashes, decodeStoredInput, hydrate } from '../wire/input.ts';
import { INPUT_BYTES, type ClaimedInput } from './claim.ts';

export type Opened =
  { readonly ok: true; readonly input: Input } | { readonly ok: false; readonly error: string };

/** `contents` looks up what inputs name by hash; its rejection is not the input's fault, and passes on. */
export async function openInput(
  claimed: ClaimedInput,
  contents: (hashes: readonly string[]) => Promise<(hash: string) => unknown>,
): Promise<Opened> {
  if (typeof claimed.tooLarge === 'number') {
    const error = `it has ${claimed.tooLarge} bytes, and no input of Muster has more than ${INPUT_BYTES}: its payload was not read`;
    return { ok: false, error };
  }
  const stored = tryTo(() => decodeStoredInput(claimed.kind, JSON.parse(claimed.payload)));
  if (!stored.ok) return stored;
  const hashes = contentHashes(stored.value);
  if (hashes.length === 0 && stored.value.kind !== 'ManifestSetUpdated') {
    return { ok: true, input: stored.value };
  }
  const content = await contents(hashes);
  const input = tryTo(() => hydrate(stored.value, content));
  return input.ok ? { ok: true, input: input.value } : input;
}

type Tried<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: string };

function tryTo<T>(make: () => T): Tried<T> {
  try {
    return { ok: true, value: make() };
  } catch (error) {
    return { ok: false, error: error instanceof Error ? error.message : String(error) };
  }
}
