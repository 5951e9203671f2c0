/** What an operator may do, least first: each may what those before it may. */
import { Type } from '@sinclair/typebox';

export const OPERATOR_ROLES = ['viewer', 'operator', 'admin'] as const;
export type OperatorRole = (typeof OPERATOR_ROLES)[number];

export const RoleSchema = Type.Union(
  OPERATOR_ROLES.map((role) => Type.Literal(role)),
  {
    description:
      '`viewer` reads; `operator` also holds back and lets go; `admin` also does what cannot be taken back, and makes tokens.',
  },
);

export function suffices(has: OperatorRole, needed: OperatorRole): boolean {
  return OPERATOR_ROLES.indexOf(has) >= OPERATOR_ROLES.indexOf(needed);
}
