/** What the answers to operators are made of. */
import { Type } from '@sinclair/typebox';

export const Text = Type.String();
export const Count = Type.Integer({ minimum: 0 });
export const Instant = Type.String({ description: 'RFC 3339, UTC.' });
export const NextCursor = Type.Optional(
  Type.String({ description: 'Present when there is more: pass it as `cursor`.' }),
);
/** Who stopped something, and why. */
export const StopSchema = Type.Object({ actor: Text, reason: Text, at: Instant });
