/** A validator's complaint as a sentence for whoever wrote the sender: where, what is wrong, what to send. */
import { Kind, type TSchema } from '@sinclair/typebox';
import { ValueErrorType, type ValueError } from '@sinclair/typebox/compiler';
import { isJsonObject } from './text.ts';

/** The literals of a union, such as `enforce, observe, disabled`; null for any other schema. */
function choices(schema: TSchema): string | null {
  const members: unknown = schema['anyOf'];
  if (!Array.isArray(members)) return null;
  const literals = members.flatMap((member: unknown) =>
    isJsonObject(member) && typeof member['const'] === 'string' ? [member['const']] : [],
  );
  return literals.length === members.length ? literals.join(', ') : null;
}

/** An optional part may be absent or null; a complaint about it is about its one real form. */
function unwrapped(error: ValueError): ValueError {
  if (error.type !== ValueErrorType.Union || choices(error.schema) !== null) return error;
  for (const variant of error.errors) {
    const first = variant.First();
    if (first !== undefined && first.schema[Kind] !== 'Null') return unwrapped(first);
  }
  return error;
}

function bound(error: ValueError): string | null {
  const { schema } = error;
  switch (error.type) {
    case ValueErrorType.ObjectAdditionalProperties:
      return 'this key does not belong here; leave it out';
    case ValueErrorType.ObjectMaxProperties:
      return `too many entries; send the latest ${String(schema['maxProperties'])} at most`;
    case ValueErrorType.ArrayMaxItems:
      return `too many items; send ${String(schema['maxItems'])} at most`;
    case ValueErrorType.StringMaxLength:
      return `too long; send ${String(schema['maxLength'])} characters at most`;
    default:
      return null;
  }
}

/** Complaints that quote a rule of ours, where what the rule is for says more. */
const MISMATCHES: ReadonlySet<ValueErrorType> = new Set([
  ValueErrorType.StringPattern,
  ValueErrorType.StringFormat,
  ValueErrorType.StringMinLength,
]);

function wanted(error: ValueError): string {
  const allowed = choices(error.schema);
  if (allowed !== null) return `expected one of ${allowed}`;
  const limit = bound(error);
  if (limit !== null) return limit;
  const complaint = error.message.slice(0, 1).toLowerCase() + error.message.slice(1);
  const { description } = error.schema;
  if (typeof description !== 'string') return complaint;
  return MISMATCHES.has(error.type)
    ? `does not match. Expected: ${description}`
    : `${complaint}. This is: ${description}`;
}

/** A JSON pointer as a path; keys that are no plain words (rollout ids) are quoted, cut and harmless. */
function pathOf(pointer: string): string {
  const keys = pointer.split('/').slice(1);
  const plain = (key: string): string =>
    /^\w+$/.test(key) ? `.${key}` : `[${JSON.stringify(key.slice(0, 64))}]`;
  return keys.map(plain).join('');
}

/** `root` names the part of the body that was checked. Values are never quoted: they may be long or secret. */
export function explainError(error: ValueError | undefined, root: string): string {
  if (error === undefined) return `${root} does not match its schema`;
  const inner = unwrapped(error);
  const where = `${root}${pathOf(inner.path)}`;
  if (inner.type === ValueErrorType.ObjectRequiredProperty) return `${where} is missing; send it`;
  return `${where}: ${wanted(inner)}`;
}
