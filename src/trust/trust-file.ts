/**
 * The trust file: which keys may sign. It is the operator's own and unsigned, so an error in it is told
 * loudly and in full, and whoever reloads it keeps the last good one.
 *
 * Rotation: sign with the new key as `current` and the old as `previous`, wait until all agents have the
 * file, then drop `previous`. `rejectBefore` retires everything that was signed before an instant, under
 * whichever key: the answer to a stolen one.
 */
import { type Static, Type } from '@sinclair/typebox';
import { parseStrict } from './json.ts';
import { type Decoded, decoder, Name } from './shape.ts';
import { importKey, isAlgorithm, type TrustKey } from './signature.ts';
import { parseTime } from './time.ts';

export interface Trust {
  /** The release keys to try, current before previous; never empty. */
  readonly releaseKeys: readonly TrustKey[];
  /** Artifacts signed before this (ms) are refused. */
  readonly rejectBefore?: number;
  /** For bootstrap tokens; empty when the file names none. */
  readonly orgRootKeys: readonly TrustKey[];
  /** Tokens issued before this (ms) are refused. */
  readonly orgRejectBefore?: number;
}

const Key = Type.Object({ algorithm: Name, public: Name });
const Slot = Type.Object({
  current: Type.Optional(Key),
  previous: Type.Optional(Key),
  rejectBefore: Type.Optional(Name),
});
const TrustFile = Type.Object({
  schemaVersion: Type.Literal(1),
  ciReleaseKey: Slot,
  orgRootKey: Type.Optional(Slot),
});

const decodeFile = decoder(TrustFile);

/** The detail of a refusal names the field and says what was expected there. */
export function decodeTrust(bytes: Uint8Array): Decoded<Trust> {
  const parsed = parseStrict(bytes);
  if (!parsed.ok) return refuse(`not strict JSON: ${parsed.detail}`);
  const file = decodeFile(parsed.value);
  if (!file.ok) return refuse(file.detail);
  return assemble(file.value);
}

function assemble(file: Static<typeof TrustFile>): Decoded<Trust> {
  const release = usableKeys('ciReleaseKey', file.ciReleaseKey);
  if (!release.ok) return release;
  if (release.value.length === 0) {
    return refuse('ciReleaseKey has no usable key: give "current" an ed25519 or ecdsa-p256 key');
  }
  const root = usableKeys('orgRootKey', file.orgRootKey ?? {});
  if (!root.ok) return root;
  const rejectBefore = kill('ciReleaseKey', file.ciReleaseKey);
  if (!rejectBefore.ok) return rejectBefore;
  const orgRejectBefore = kill('orgRootKey', file.orgRootKey ?? {});
  if (!orgRejectBefore.ok) return orgRejectBefore;
  return {
    ok: true,
    value: {
      ...{ releaseKeys: release.value, orgRootKeys: root.value },
      ...(rejectBefore.value === null ? {} : { rejectBefore: rejectBefore.value }),
      ...(orgRejectBefore.value === null ? {} : { orgRejectBefore: orgRejectBefore.value }),
    },
  };
}

/** The kill switch of a slot, ms; null where there is none. */
function kill(name: string, { rejectBefore }: Static<typeof Slot>): Decoded<number | null> {
  if (rejectBefore === undefined) return { ok: true, value: null };
  const at = parseTime(rejectBefore);
  if (at === undefined) return refuse(`${name}.rejectBefore is not an RFC 3339 time`);
  return { ok: true, value: at };
}

/**
 * An algorithm of a later version is skipped: the file may already name tomorrow's key. A broken key of
 * a known one is a mistake, and skipping it would hide that until the other key is retired.
 */
function usableKeys(name: string, slot: Static<typeof Slot>): Decoded<TrustKey[]> {
  const keys: TrustKey[] = [];
  for (const position of ['current', 'previous'] as const) {
    const stated = slot[position];
    if (stated === undefined || !isAlgorithm(stated.algorithm)) continue;
    const imported = importKey(stated.algorithm, stated.public);
    if (!imported.ok) return refuse(`${name}.${position}.public: ${imported.detail}`);
    keys.push(imported.key);
  }
  return { ok: true, value: keys };
}

function refuse(detail: string): { ok: false; detail: string } {
  return { ok: false, detail: `trust file: ${detail}` };
}
