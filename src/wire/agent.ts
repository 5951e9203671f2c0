/**
 * What agents and control plane say to each other beside the events themselves: the post around an event,
 * heartbeats, snapshots, dispatches. Casing is mixed because existing agents send it so.
 */
import { Type, type Static } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import { HOST_STATE_NAMES } from './states.ts';
import { HostEventSchema } from './event.ts';
import { explainError } from './explain.ts';
import { HostnameSchema, RolloutIdSchema } from './ids.ts';
import { canonicalTime, NO_INSTANT, TimeSchema } from './instant.ts';

/** `POST /v1/agent/events`, as documented; events are decoded by `decodeHostEvent`. */
export const EventPostSchema = Type.Object(
  {
    hostname: HostnameSchema,
    rolloutId: RolloutIdSchema,
    signature: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    event: HostEventSchema,
  },
  {
    examples: [
      {
        hostname: 'web-01',
        rolloutId: 'stable@0388fb62',
        event: {
          kind: 'ActivationStarted',
          seq: 2,
          startedAt: '2026-05-16T01:27:01Z',
          switchMethod: 'switch',
        },
      },
    ],
  },
);

/** An agent knows a rollout or two; more than this is no heartbeat. */
const MAX_STATED = 256;
const OptionalText = Type.Optional(Type.Union([Type.String({ maxLength: 512 }), Type.Null()]));

export const HeartbeatRequestSchema = Type.Object(
  {
    hostname: HostnameSchema,
    rollout_id: Type.Optional(Type.Union([RolloutIdSchema, Type.Null()])),
    current_closure: OptionalText,
    at: TimeSchema,
    agent_version: OptionalText,
    uptime_secs: Type.Optional(Type.Union([Type.Number({ minimum: 0 }), Type.Null()])),
    last_event_seq_by_rollout: Type.Optional(
      Type.Union([
        Type.Record(
          RolloutIdSchema,
          Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
          {
            additionalProperties: false,
            maxProperties: MAX_STATED,
          },
        ),
        Type.Null(),
      ]),
    ),
  },
  {
    examples: [
      {
        hostname: 'web-01',
        rollout_id: 'stable@0388fb62',
        current_closure: '4e2b8d',
        at: '2026-05-16T01:27:01Z',
        agent_version: '0.1.0',
        uptime_secs: 86400,
        last_event_seq_by_rollout: { 'stable@0388fb62': 4 },
      },
    ],
  },
);

/** A heartbeat as the rooms behind the edge see it: absent is null, the time canonical. */
export interface Heartbeat {
  readonly hostname: string;
  readonly rolloutId: string | null;
  readonly currentClosure: string | null;
  readonly at: string;
  readonly agentVersion: string | null;
  readonly uptimeSecs: number | null;
  readonly lastEventSeqByRollout: Readonly<Record<string, number>>;
}

export type HeartbeatDecode =
  | { readonly ok: true; readonly heartbeat: Heartbeat }
  | { readonly ok: false; readonly detail: string };

const heartbeatCheck = TypeCompiler.Compile(HeartbeatRequestSchema);

/** Decodes a heartbeat's body, after `parseJsonText`. */
export function decodeHeartbeat(value: unknown): HeartbeatDecode {
  if (!heartbeatCheck.Check(value)) {
    return { ok: false, detail: explainError(heartbeatCheck.Errors(value).First(), 'heartbeat') };
  }
  const at = canonicalTime(value.at);
  if (at === null) {
    return { ok: false, detail: `heartbeat.at ${NO_INSTANT}` };
  }
  const heartbeat = {
    hostname: value.hostname,
    rolloutId: value.rollout_id ?? null,
    currentClosure: value.current_closure ?? null,
    at,
    agentVersion: value.agent_version ?? null,
    uptimeSecs: value.uptime_secs ?? null,
    lastEventSeqByRollout: value.last_event_seq_by_rollout ?? {},
  };
  return { ok: true, heartbeat };
}

/** A host's record as the control plane mirrors it. Absent optionals are omitted, never null. */
export const SnapshotSchema = Type.Object({
  rolloutId: Type.String(),
  hostname: Type.String(),
  channel: Type.String(),
  state: Type.Union(HOST_STATE_NAMES.map((state) => Type.Literal(state))),
  targetClosure: Type.String(),
  currentClosureAtDispatch: Type.Optional(Type.String()),
  currentClosure: Type.Optional(Type.String()),
  dispatchedAt: Type.String(),
  dispatchAckedAt: Type.Optional(Type.String()),
  activationStartedAt: Type.Optional(Type.String()),
  activationCompletedAt: Type.Optional(Type.String()),
  soakDueAt: Type.Optional(Type.String()),
  lastEventSeq: Type.Integer(),
});

export const HeartbeatAnswerSchema = Type.Object({
  received_at: Type.String(),
  bootstrap_rollouts: Type.Optional(Type.Array(SnapshotSchema)),
});

export const DispatchAnswerSchema = Type.Object(
  {
    hostname: Type.String(),
    rollout_id: Type.String(),
    target_closure: Type.String(),
    soak_due_at: Type.String(),
    enqueued_at: Type.String(),
  },
  { description: 'Permission to move to the closure that the signed manifest names.' },
);

export type Snapshot = Static<typeof SnapshotSchema>;
export type HeartbeatAnswer = Static<typeof HeartbeatAnswerSchema>;
export type DispatchAnswer = Static<typeof DispatchAnswerSchema>;
