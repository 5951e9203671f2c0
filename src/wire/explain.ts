/** A validator's complaint as a sentence for whoever wrote the sender: where, what is wrong, what to send. */
import { ValueErrorType, type ValueError } from '@sinclair/typebox/compiler';
import { isJsonObject } from './text.ts';

/** The literals of a union, such as `enforce, observe, disabled`; null for any other schema. */
function choices(schema: Readonly<Record<string, unknown>>): string | null {
  const members: unknown = schema['anyOf'];
  if (!Array.isArray(members)) return null;
  const literals = members.flatMap((member: unknown) =>
    isJsonObject(member) && typeof member['const'] === 'string' ? [member['const']] : [],
  );
  return literals.length === members.length ? literals.join(', ') : null;
}

function wanted(error: ValueError): string {
  const allowed = choices({ ...error.schema });
  if (allowed !== null) return `expected one of ${allowed}`;
  if (typeof error.schema.description === 'string' && error.type === ValueErrorType.StringPattern) {
    return `does not match. Expected: ${error.schema.description}`;
  }
  return error.message.slice(0, 1).toLowerCase() + error.message.slice(1);
}

/** `root` names the part of the body that was checked. Values are never quoted: they may be long or secret. */
export function explainError(error: ValueError | undefined, root: string): string {
  if (error === undefined) return `${root} does not match its schema`;
  const where = `${root}${error.path.replaceAll('/', '.')}`;
  if (error.type === ValueErrorType.ObjectRequiredProperty) return `${where} is missing; send it`;
  return `${where}: ${wanted(error)}`;
}
