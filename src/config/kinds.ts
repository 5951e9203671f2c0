/** Kinds of settings, so that each says its group, its default and its meaning. */
import { Type } from '@sinclair/typebox';

type Group =
  | 'Event log'
  | 'Database'
  | 'Process'
  | 'Identity'
  | 'Manifests'
  | 'Enrolment'
  | 'Hosts and graces'
  | 'Limits'
  | 'Stopping';

export function text(
  group: Group,
  fallback: string | null,
  description: string,
  more: object = {},
) {
  return Type.String({ group, default: fallback, description, ...more });
}

export function optional(group: Group, description: string, more: object = {}) {
  return Type.Union([Type.String({ minLength: 1 }), Type.Null()], {
    group,
    default: null,
    description,
    ...more,
  });
}

export function whole(
  group: Group,
  fallback: number,
  [minimum, maximum]: readonly [number, number],
  description: string,
) {
  return Type.Integer({ group, default: fallback, minimum, maximum, description });
}

export function decimal(
  group: Group,
  fallback: number,
  [minimum, maximum]: readonly [number, number],
  description: string,
) {
  return Type.Number({ group, default: fallback, minimum, maximum, description });
}
