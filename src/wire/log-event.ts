/**
 * A row of the event log as it is read over HTTP, page by page or as a stream, and the cursor that names a
 * place in it: `<incarnation>:<seq>`. The incarnation changes when the database was restored or promoted,
 * so that a reader who keeps a copy notices that the two may differ.
 */
import { Type, type Static } from '@sinclair/typebox';
import type { LogKind } from '../reducer/log.ts';

/** Every kind of row. The type makes a kind that is missing here an error. */
const KINDS = {
  agent_event: true,
  host_report: true,
  transition: true,
  rollout_event: true,
  plan_action: true,
  gate_decision: true,
  verify_outcome: true,
  manifest_set: true,
  operator_command: true,
  liveness: true,
  leadership: true,
  enrolment: true,
} as const satisfies Record<LogKind, true>;

export const LOG_KINDS: readonly LogKind[] = Object.keys(KINDS).filter(isLogKind);

function isLogKind(text: string): text is LogKind {
  return Object.hasOwn(KINDS, text);
}

const Seq = Type.Integer({ minimum: 1 });
const Cursor = Type.String({ description: '<incarnation>:<seq>' });

export const LogKindSchema = Type.Union(LOG_KINDS.map((kind) => Type.Literal(kind)));

export const OmittedSchema = Type.Record(
  Type.String(),
  Type.Object({
    bytes: Type.Integer({ description: 'Of its JSON.' }),
    items: Type.Optional(Type.Integer({ description: 'How many, where it is a list.' })),
  }),
  {
    description:
      'Of a row over 64 kB, unless `whole` was asked for: the members of its payload that were left out.',
  },
);
export type Omitted = Static<typeof OmittedSchema>;

export const WholeSchema = Type.Union([Type.Literal('true'), Type.Literal('false')], {
  description: 'true: large rows with all they hold, such as every host of a rollout that opens.',
});

export const LogEventSchema = Type.Object({
  seq: Seq,
  ts: Type.String({ description: 'RFC 3339, UTC.' }),
  epoch: Type.Integer({ description: 'Leadership term that wrote it.' }),
  kind: LogKindSchema,
  host: Type.Optional(Type.String()),
  rolloutId: Type.Optional(Type.String()),
  channel: Type.Optional(Type.String()),
  actor: Type.Optional(Type.String({ description: 'The host or person that acted.' })),
  causedBy: Type.Optional(Type.Integer({ description: 'seq of the row that led to this one.' })),
  payload: Type.Unknown({
    description:
      'Facts of the row, format version `v`, and under `changes` the fields it assigned.',
  }),
  omitted: Type.Optional(OmittedSchema),
});
export type LogEvent = Static<typeof LogEventSchema>;

const Missing = Type.Object(
  { from: Seq, to: Seq },
  { description: 'Rows that were asked for and that retention has detached.' },
);

export const LogPageSchema = Type.Object(
  {
    events: Type.Array(LogEventSchema),
    cursor: Type.String({ description: 'Pass it as `after`: nothing is skipped or repeated.' }),
    more: Type.Boolean({ description: 'True: ask again at once.' }),
    earlier: Type.Optional(
      Type.String({
        description: 'Of `last`: there may be rows before these; pass it as `before`.',
      }),
    ),
    missing: Type.Optional(Missing),
  },
  {
    examples: [
      {
        events: [
          {
            seq: 1043,
            ts: '2026-05-16T01:27:01.000Z',
            epoch: 7,
            kind: 'gate_decision',
            rolloutId: 'stable@0388fb62',
            channel: 'stable',
            causedBy: 1041,
            payload: {
              v: 2,
              scope: 'host',
              gates: ['wave-promotion:1'],
              hosts: ['web-03', 'web-04'],
            },
          },
        ],
        cursor: '0b0f7c1e-93a4-4ef5-8a53-6a1f4e6f8d20:1043',
        more: false,
      },
    ],
  },
);
export type LogPage = Static<typeof LogPageSchema>;

export const LogFilterSchema = Type.Object({
  kind: Type.Optional(LogKindSchema),
  rollout: Type.Optional(Type.String({ description: '{channel}@{channelRef}' })),
  host: Type.Optional(
    Type.String({
      description:
        'Rows of this host, rows that name it among others, and pauses of its channel and of the fleet.',
    }),
  ),
});

export const LogPageQuerySchema = Type.Composite([
  LogFilterSchema,
  Type.Object({
    after: Type.Optional(Cursor),
    last: Type.Optional(
      Type.Integer({
        minimum: 1,
        description:
          'Instead of `after`: the newest rows that match, oldest first; fewer where they are over 1 MB.',
      }),
    ),
    before: Type.Optional(
      Type.String({
        description: 'With `last`: rows before this one, a cursor such as `earlier`.',
      }),
    ),
    limit: Type.Optional(Type.Integer({ minimum: 1, description: 'Rows of one page.' })),
    whole: Type.Optional(WholeSchema),
  }),
]);
export type LogPageQuery = Static<typeof LogPageQuerySchema>;

export const LogStreamQuerySchema = Type.Composite([
  LogFilterSchema,
  Type.Object({
    after: Type.Optional(
      Type.String({ description: 'As Last-Event-ID, for clients that cannot send that header.' }),
    ),
    whole: Type.Optional(WholeSchema),
  }),
]);

export interface LogCursor {
  readonly incarnation: string;
  readonly seq: number;
}

export function formatCursor({ incarnation, seq }: LogCursor): string {
  return `${incarnation}:${String(seq)}`;
}

/** Null for what no Muster ever gave. */
export function parseCursor(text: string): LogCursor | null {
  const match = /^([\w-]{1,64}):(\d{1,16})$/.exec(text);
  const seq = Number(match?.[2]);
  if (match?.[1] === undefined || !Number.isSafeInteger(seq)) return null;
  return { incarnation: match[1], seq };
}
