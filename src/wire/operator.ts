/** What operators read, in the shapes that NixFleet's tools already know; additions are optional members. */
import { Type, type Static } from '@sinclair/typebox';
import { OmittedSchema } from './log-event.ts';
import { Count, Instant, NextCursor, Text } from './parts.ts';

const Closed = Type.Optional(
  Type.String({
    description:
      'Why its record is closed: nobody waits for it, and lists and counts have it under `closed`, not under its last state.',
  }),
);

export const RolloutListSchema = Type.Object(
  {
    rollouts: Type.Array(
      Type.Object({
        rolloutId: Text,
        channel: Text,
        seq: Type.Integer({ description: 'For `expectedSeq` of commands on this rollout.' }),
        state: Text,
        currentWave: Type.Integer(),
        waves: Type.Integer({ description: 'How many waves it has.' }),
        createdAt: Instant,
        hostStates: Type.Optional(
          Type.Record(Text, Text, {
            description:
              'Host name to its state, `closed` if its record is; absent with hosts=false.',
          }),
        ),
      }),
    ),
    nextCursor: NextCursor,
  },
  {
    examples: [
      {
        rollouts: [
          {
            rolloutId: 'stable@0388fb62',
            channel: 'stable',
            seq: 900,
            state: 'Active',
            currentWave: 0,
            waves: 3,
            createdAt: '2026-05-16T01:27:01.000Z',
            hostStates: { 'web-01': 'Pending', 'web-04': 'Soaking' },
          },
        ],
        nextCursor: '7',
      },
    ],
  },
);

export const RolloutHostsSchema = Type.Object(
  {
    rollout_id: Text,
    hosts: Type.Array(
      Type.Object({
        host: Text,
        channel: Text,
        wave: Type.Integer(),
        targetClosureHash: Text,
        targetChannelRef: Text,
        state: Text,
        closed: Closed,
        dispatchedAt: Type.Optional(
          Type.String({
            description: 'RFC 3339, UTC. Absent: not dispatched (with all=true only).',
          }),
        ),
        soakDueAt: Type.Optional(Instant),
        blocked: Type.Boolean({ description: 'Something holds it: /v1/hosts/{name} says what.' }),
        terminalState: Type.Optional(Text),
        terminalAt: Type.Optional(Instant),
      }),
      {
        description:
          'In order of wave and name. Hosts that were dispatched; with all=true every host.',
      },
    ),
    nextCursor: NextCursor,
  },
  {
    examples: [
      {
        rollout_id: 'stable@0388fb62',
        hosts: [
          {
            host: 'web-04',
            channel: 'stable',
            wave: 0,
            targetClosureHash: '5f3a9c',
            targetChannelRef: '0388fb62',
            state: 'Converged',
            blocked: false,
            dispatchedAt: '2026-05-16T01:27:01.000Z',
            terminalState: 'Converged',
            terminalAt: '2026-05-16T01:27:01.000Z',
          },
        ],
      },
    ],
  },
);

export const LifecycleSchema = Type.Object(
  {
    rolloutId: Text,
    seq: Type.Integer({ description: 'For `expectedSeq` of commands on this rollout.' }),
    channel: Text,
    channelRef: Text,
    state: Text,
    currentWave: Type.Integer(),
    openedAt: Instant,
    signedAt: Instant,
    supersededAt: Type.Optional(Instant),
    supersededBy: Type.Optional(Text),
    terminalAt: Type.Optional(Instant),
    failedAt: Type.Optional(Instant),
    endedAt: Type.Optional(Instant),
    exceptions: Type.Optional(
      Type.Record(Text, Count, {
        description: 'Of a Terminal rollout: tolerated hosts, by reason.',
      }),
    ),
    policy: Text,
    onHealthFailure: Text,
    maxFailures: Type.Integer(),
    blockers: Type.Array(Text, {
      description: 'Reasons of the rollout as a whole; see its blockers.',
    }),
    waves: Type.Array(
      Type.Object({
        wave: Type.Integer(),
        soakMinutes: Type.Number(),
        hosts: Count,
        states: Type.Record(Text, Count, { description: 'Hosts by state; `closed` ones apart.' }),
      }),
    ),
  },
  {
    examples: [
      {
        rolloutId: 'stable@0388fb62',
        seq: 900,
        channel: 'stable',
        channelRef: '0388fb62',
        state: 'Active',
        currentWave: 0,
        openedAt: '2026-05-16T01:27:01.000Z',
        signedAt: '2026-05-16T01:27:01.000Z',
        policy: 'default',
        onHealthFailure: 'rollback-and-halt',
        maxFailures: 0,
        blockers: [],
        waves: [{ wave: 0, soakMinutes: 5, hosts: 1, states: { Soaking: 1 } }],
      },
    ],
  },
);

export const RolloutEventsSchema = Type.Object(
  {
    rollout_id: Text,
    events: Type.Array(
      Type.Object({
        seq: Type.Integer(),
        ts: Instant,
        kind: Text,
        host: Type.Optional(Text),
        payload: Type.Unknown(),
        omitted: Type.Optional(OmittedSchema),
      }),
    ),
    nextCursor: NextCursor,
  },
  {
    examples: [
      {
        rollout_id: 'stable@0388fb62',
        events: [
          {
            seq: 901,
            ts: '2026-05-16T01:27:01.000Z',
            kind: 'transition',
            host: 'web-04',
            payload: { from: 'Activating', to: 'Soaking' },
          },
        ],
      },
    ],
  },
);

export const HostListSchema = Type.Object(
  {
    hosts: Type.Array(
      Type.Object({
        hostname: Text,
        channel: Type.String({
          description: 'The channel that declares it now; empty: the fleet declares no such host.',
        }),
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
        rolloutState: Type.Optional(
          Type.String({
            description:
              'In the newest rollout of its channel, as `hosts` of /v1/fleet counts it; absent: it is not in it.',
          }),
        ),
        closed: Closed,
        pendingReboot: Type.Boolean(),
        quarantinedClosure: Type.Optional(Text),
        outstandingHealthFailures: Count,
        reachability: Type.String({ description: 'never, reachable or unreachable.' }),
        held: Type.Boolean({ description: 'An operator holds it.' }),
      }),
    ),
    nextCursor: NextCursor,
  },
  {
    examples: [
      {
        hosts: [
          {
            hostname: 'web-01',
            channel: 'stable',
            declaredClosureHash: '5f3a9c',
            currentClosureHash: '4e2b8d',
            lastCheckinAt: '2026-05-16T01:27:01.000Z',
            lastRolloutId: 'stable@0388fb62',
            converged: false,
            outstandingComplianceFailures: 0,
            outstandingRuntimeGateErrors: 0,
            verifiedEventCount: 8,
            rolloutState: 'Pending',
            pendingReboot: false,
            outstandingHealthFailures: 0,
            reachability: 'reachable',
            held: false,
          },
        ],
        nextCursor: 'web-01',
      },
    ],
  },
);

export type RolloutList = Static<typeof RolloutListSchema>;
export type RolloutHosts = Static<typeof RolloutHostsSchema>;
export type Lifecycle = Static<typeof LifecycleSchema>;
export type RolloutEvents = Static<typeof RolloutEventsSchema>;
export type HostList = Static<typeof HostListSchema>;
