/** Why something does not move: what holds it, the numbers, the hosts behind it, and what would release it. */
import { Type, type Static } from '@sinclair/typebox';
import { Instant, StopSchema, Text } from './parts.ts';

const Seq = Type.Integer({ description: 'The log row that last changed it.' });

export const BlockerSchema = Type.Object(
  {
    gate: Type.String({ description: 'Stable; decide by this.' }),
    key: Type.String({ description: 'The gate with its subject: `disruption-budget:0`.' }),
    since: Type.Optional(
      Type.String({
        description:
          'Since when this key holds without a break, RFC 3339; of many hosts, the longest. Of a full budget that holds beside other gates: since when it is full, as far as the rows tell.',
      }),
    ),
    because: Type.String({ description: 'A sentence with the numbers.' }),
    releasedBy: Type.String({ description: 'What would release it.' }),
    hosts: Type.Array(
      Type.Object({
        hostname: Text,
        state: Type.Optional(Type.String({ description: 'Absent: not part of the rollout.' })),
        doing: Type.String({ description: 'What it is at.' }),
      }),
      { description: 'The first of the hosts behind it, 50 at the most.' },
    ),
    total: Type.Integer({ description: 'How many hosts are behind it, named in `hosts` or not.' }),
  },
  {
    examples: [
      {
        gate: 'disruption-budget',
        key: 'disruption-budget:0',
        since: '2026-05-16T01:27:01.000Z',
        because: '1 of 1 in flight under {"tags":["web"]}',
        releasedBy: 'one of these hosts converges, ends its rollback, fails for good or is closed',
        hosts: [
          { hostname: 'web-01', state: 'Soaking', doing: 'soaking until 2026-05-16T01:37:00.000Z' },
        ],
        total: 1,
      },
    ],
  },
);

const WAITS_FOR_WAVE = {
  gate: 'wave-promotion',
  key: 'wave-promotion:1',
  since: '2026-05-16T01:27:01.000Z',
  because: 'it is in wave 1; wave 0 has 0 of 1 hosts converged and a soak of 5 minutes',
  releasedBy: 'wave 0 is done',
  hosts: [
    { hostname: 'web-04', state: 'Soaking', doing: 'soaking until 2026-05-16T01:37:00.000Z' },
  ],
  total: 1,
};

const RolloutRef = {
  rolloutId: Text,
  channel: Text,
  rolloutState: Text,
  currentWave: Type.Integer(),
};

export const HostDetailSchema = Type.Object(
  {
    hostname: Text,
    seq: Type.Integer({
      description: 'For `expectedSeq` of commands on this host; 0: never heard.',
    }),
    channel: Type.Optional(Type.String({ description: 'Absent: no longer declared.' })),
    declaredClosureHash: Type.Optional(Text),
    currentClosureHash: Type.Optional(Text),
    reachability: Text,
    reachabilityAt: Type.Optional(Instant),
    lastCheckinAt: Type.Optional(Instant),
    lastUptimeSecs: Type.Optional(Type.Number()),
    agentVersion: Type.Optional(Text),
    hold: Type.Optional(StopSchema),
    commandChannels: Type.Optional(
      Type.Array(Text, {
        description:
          'What commands on it reach: its own channel and those in which it is under way. A token for some channels needs all of these.',
      }),
    ),
    blockers: Type.Array(BlockerSchema, {
      description: 'Every reason for which it does not move now, in its newest rollout.',
    }),
    next: Type.Optional(
      Type.Array(BlockerSchema, {
        description:
          'What holds nothing of it now, and would hold whatever comes next on the channel that declares it: brakes of operators; `release-waits`, its release waits its turn; `no-release`, none is to be opened for it. Absent: nothing.',
      }),
    ),
    rollout: Type.Optional(
      Type.Array(BlockerSchema, {
        description:
          'Why its newest rollout does not get on as a whole, while the host waits in it. Absent: it does, or the host does not wait.',
      }),
    ),
    rollouts: Type.Array(
      Type.Object({
        ...RolloutRef,
        seq: Seq,
        wave: Type.Integer(),
        state: Text,
        targetClosureHash: Text,
        currentClosureHash: Type.Optional(Text),
        dispatchedAt: Type.Optional(Instant),
        dispatchAckedAt: Type.Optional(Instant),
        activationStartedAt: Type.Optional(Instant),
        activationCompletedAt: Type.Optional(Instant),
        soakDueAt: Type.Optional(Instant),
        convergedAt: Type.Optional(Instant),
        failedAt: Type.Optional(Instant),
        policyApplied: Type.Optional(Text),
        revertedAt: Type.Optional(Instant),
        revertedTo: Type.Optional(Text),
        closed: Type.Optional(Text),
        unchanged: Type.Optional(Type.Boolean()),
        cleared: Type.Optional(Type.Boolean()),
        lastEventSeq: Type.Integer(),
        dispatch: Type.Optional(
          Type.Object(
            { enqueuedAt: Instant, suspended: Type.Boolean() },
            { description: 'In force: it may move, and has not acknowledged yet.' },
          ),
        ),
        probes: Type.Record(
          Text,
          Type.Object({
            status: Text,
            mode: Text,
            lastObservedAt: Instant,
            failureReason: Type.Optional(
              Type.String({ description: 'Its first 300 characters; the log has the whole.' }),
            ),
          }),
        ),
        failures: Type.Array(
          Type.Object({ probeName: Text, controlId: Type.Optional(Text), since: Instant }),
          { description: 'Enforced probes and controls whose latest result is a failure.' },
        ),
        blockers: Type.Array(BlockerSchema),
      }),
      { description: 'Newest first; those that retention has pruned are in the log only.' },
    ),
  },
  {
    examples: [
      {
        hostname: 'web-01',
        seq: 201,
        channel: 'stable',
        declaredClosureHash: '5f3a9c',
        currentClosureHash: '4e2b8d',
        reachability: 'reachable',
        reachabilityAt: '2026-05-16T01:27:01.000Z',
        lastCheckinAt: '2026-05-16T01:27:01.000Z',
        commandChannels: ['stable'],
        blockers: [WAITS_FOR_WAVE],
        rollouts: [
          {
            rolloutId: 'stable@0388fb62',
            channel: 'stable',
            rolloutState: 'Active',
            currentWave: 0,
            seq: 88,
            wave: 1,
            state: 'Pending',
            targetClosureHash: '5f3a9c',
            lastEventSeq: 0,
            probes: {},
            failures: [],
            blockers: [WAITS_FOR_WAVE],
          },
        ],
      },
    ],
  },
);

export const RolloutBlockersSchema = Type.Object(
  {
    ...RolloutRef,
    asOfSeq: Type.Integer({ description: 'The log row up to which this is true.' }),
    rollout: Type.Array(BlockerSchema, { description: 'Reasons of the rollout as a whole.' }),
    hosts: Type.Array(
      Type.Object({
        ...BlockerSchema.properties,
        held: Type.Integer({ description: 'How many hosts it holds.' }),
        examples: Type.Array(Text, { description: 'The first of them by name, 50 at the most.' }),
      }),
      { description: 'Reasons of its hosts, the one that holds most first.' },
    ),
  },
  {
    examples: [
      {
        rolloutId: 'stable@0388fb62',
        channel: 'stable',
        rolloutState: 'Active',
        currentWave: 0,
        asOfSeq: 1042,
        rollout: [],
        hosts: [
          {
            ...WAITS_FOR_WAVE,
            held: 6,
            examples: ['web-01', 'web-02'],
          },
        ],
      },
    ],
  },
);

export const PlanSchema = Type.Object(
  {
    ...RolloutRef,
    asOfSeq: Type.Integer(),
    rollout: Type.Optional(
      Type.Array(Text, { description: 'Keys of what holds the rollout as a whole.' }),
    ),
    dispatched: Type.Object({
      total: Type.Integer(),
      hosts: Type.Array(Text, { description: 'In order; 1,000 at the most.' }),
    }),
    blocked: Type.Array(
      Type.Object({ gates: Type.Array(Text), held: Type.Integer(), examples: Type.Array(Text) }),
      { description: 'Every other Pending host, by what would hold it after these dispatches.' },
    ),
  },
  {
    examples: [
      {
        rolloutId: 'stable@0388fb62',
        channel: 'stable',
        rolloutState: 'Active',
        currentWave: 0,
        asOfSeq: 1042,
        dispatched: { total: 1, hosts: ['web-04'] },
        blocked: [{ gates: ['wave-promotion:1'], held: 6, examples: ['web-01'] }],
      },
    ],
  },
);

export type Blocker = Static<typeof BlockerSchema>;
export type HostDetail = Static<typeof HostDetailSchema>;
export type RolloutBlockers = Static<typeof RolloutBlockersSchema>;
export type Plan = Static<typeof PlanSchema>;
