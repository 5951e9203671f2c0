/** Who may do what, as operators see it. */
import { Type } from '@sinclair/typebox';
import { Instant } from './parts.ts';
import { RoleSchema } from './role.ts';

const ScopeSchema = Type.Array(Type.String(), {
  description: 'Commands reach these channels only. Absent: all, and the fleet as a whole.',
});

export const WhoamiSchema = Type.Object(
  {
    cn: Type.String({ description: 'What the log calls the caller, less how they proved it.' }),
    issuedAt: Type.String({
      description: 'When the proof was made out; 1970 for a development identity.',
    }),
    expiresAt: Type.Optional(Instant),
    role: RoleSchema,
    via: Type.Union(
      ['development', 'token', 'certificate'].map((via) => Type.Literal(via)),
      { description: 'How they proved it.' },
    ),
    channels: Type.Optional(ScopeSchema),
    commands: Type.Array(Type.String(), {
      description: 'Commands that the role suffices for, by name.',
    }),
  },
  {
    examples: [
      {
        cn: 'ci-deploy',
        issuedAt: '2026-05-16T01:27:01.000Z',
        expiresAt: '2026-06-15T01:27:01.000Z',
        role: 'operator',
        via: 'token',
        channels: ['stable'],
        commands: ['PauseChannel', 'ResumeChannel'],
      },
    ],
  },
);
