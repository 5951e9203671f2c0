/** Who may do what, as operators see it. */
import { type Static, Type } from '@sinclair/typebox';
import { Instant, Text } from './parts.ts';
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
      description: 'Commands that the role and the scope allow, by name.',
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

export const TokenListSchema = Type.Object(
  {
    tokens: Type.Array(
      Type.Object({
        tokenId: Text,
        seq: Type.Integer({ description: 'Log row that made it.' }),
        name: Text,
        role: Text,
        channels: Type.Optional(ScopeSchema),
        createdBy: Text,
        createdAt: Instant,
        expiresAt: Instant,
        lastUsedAt: Type.Optional(
          Type.String({ description: 'To the minute. Absent: never used.' }),
        ),
      }),
      { description: 'By name. Revoked ones are gone; expired ones stay until the next is made.' },
    ),
  },
  {
    examples: [
      {
        tokens: [
          {
            tokenId: '5f3a9c0d11e27b84',
            seq: 1041,
            name: 'ci-deploy',
            role: 'operator',
            channels: ['stable'],
            createdBy: 'cert:ada',
            createdAt: '2026-05-16T01:27:01.000Z',
            expiresAt: '2026-06-15T01:27:01.000Z',
            lastUsedAt: '2026-05-17T09:00:00.000Z',
          },
        ],
      },
    ],
  },
);

export type Whoami = Static<typeof WhoamiSchema>;
export type TokenList = Static<typeof TokenListSchema>;
