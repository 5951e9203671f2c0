/** What operators read, in the shapes that NixFleet's tools already know; additions are optional members. */
import { Type, type Static } from '@sinclair/typebox';

const Text = Type.String();
const Count = Type.Integer({ minimum: 0 });
const Instant = Type.String({ description: 'RFC 3339, UTC.' });
const NextCursor = Type.Optional(
  Type.String({ description: 'Present when there is more: pass it as `cursor`.' }),
);

export const RolloutListSchema = Type.Object({
  rollouts: Type.Array(
    Type.Object({
      rolloutId: Text,
      channel: Text,
      state: Text,
      currentWave: Type.Integer(),
      createdAt: Instant,
      hostStates: Type.Record(Text, Text, { description: 'Host name to its state.' }),
    }),
  ),
  nextCursor: NextCursor,
});

export const RolloutHostsSchema = Type.Object({
  rollout_id: Text,
  hosts: Type.Array(
    Type.Object({
      host: Text,
      channel: Text,
      wave: Type.Integer(),
      targetClosureHash: Text,
      targetChannelRef: Text,
      dispatchedAt: Instant,
      terminalState: Type.Optional(Text),
      terminalAt: Type.Optional(Instant),
    }),
    { description: 'Hosts that were dispatched; all hosts and states are in /v1/rollouts.' },
  ),
});

export const RolloutEventsSchema = Type.Object({
  rollout_id: Text,
  events: Type.Array(
    Type.Object({
      seq: Type.Integer(),
      ts: Instant,
      kind: Text,
      host: Type.Optional(Text),
      payload: Type.Unknown(),
    }),
  ),
  nextCursor: NextCursor,
});

export const HostListSchema = Type.Object({
  hosts: Type.Array(
    Type.Object({
      hostname: Text,
      channel: Text,
      declaredClosureHash: Type.Optional(Text),
      currentClosureHash: Type.Optional(Text),
      pendingClosureHash: Type.Optional(Text),
      lastCheckinAt: Type.Optional(Instant),
      lastRolloutId: Type.Optional(Text),
      converged: Type.Boolean(),
      outstandingComplianceFailures: Count,
      outstandingRuntimeGateErrors: Count,
      verifiedEventCount: Count,
      lastUptimeSecs: Type.Optional(Type.Number()),
      rolloutState: Type.Optional(Text),
      pendingReboot: Type.Boolean(),
      quarantinedClosure: Type.Optional(Text),
      outstandingHealthFailures: Count,
    }),
  ),
  nextCursor: NextCursor,
});

export type RolloutList = Static<typeof RolloutListSchema>;
export type RolloutHosts = Static<typeof RolloutHostsSchema>;
export type RolloutEvents = Static<typeof RolloutEventsSchema>;
export type HostList = Static<typeof HostListSchema>;
