/** The list of revoked certificates as it is stored beside its signed bytes, for replicas that go by it. */
import { Type } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';

const Stored = TypeCompiler.Compile(
  Type.Object({
    revocations: Type.Array(Type.Object({ hostname: Type.String(), notBefore: Type.String() })),
  }),
);

/** By host: certificates that were issued before this instant (ms) are refused. Null: not such a list. */
export type RevokedBefore = ReadonlyMap<string, number>;

export function decodeStoredRevocations(content: unknown): RevokedBefore | null {
  if (!Stored.Check(content)) return null;
  const newest = new Map<string, number>();
  for (const { hostname, notBefore } of content.revocations) {
    const at = Date.parse(notBefore);
    if (Number.isNaN(at)) return null;
    // Of several, the strictest: none of them was taken back by another.
    newest.set(hostname, Math.max(at, newest.get(hostname) ?? at));
  }
  return newest;
}
