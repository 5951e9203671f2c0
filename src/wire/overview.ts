/** The fleet at a glance: channels, counts, quarantines, deferrals, who leads, and how the queue fares. */
import { Type, type Static } from '@sinclair/typebox';
import { Count, Instant, NextCursor, StopSchema, Text } from './parts.ts';

const Counts = (description: string) => Type.Record(Text, Count, { description });

export const ChannelDetailSchema = Type.Object(
  {
    name: Text,
    declared_ci_commit: Type.Optional(Text),
    signed_at: Type.Optional(Instant),
    freshness_window_minutes: Type.Number(),
    seq: Type.Integer({ description: 'For `expectedSeq` of commands on this channel.' }),
    currentRolloutId: Type.Optional(Text),
    rolloutState: Type.Optional(Text),
    waitingRef: Type.Optional(
      Type.String({
        description: 'finish-first: the newest ref that waits for the current rollout.',
      }),
    ),
    pause: Type.Optional(StopSchema),
    note: Type.Optional(
      Type.String({
        description:
          'A standing remark: ref-already-ended; or, of a channel whose rollout is unfinished, not-declared (the fleet declares it no more) or no-release (none of its hosts has a closure: its last rollout goes on).',
      }),
    ),
    hosts: Count,
  },
  {
    examples: [
      {
        name: 'stable',
        declared_ci_commit: '0388fb62',
        signed_at: '2026-05-16T01:27:01.000Z',
        freshness_window_minutes: 60,
        seq: 12,
        currentRolloutId: 'stable@0388fb62',
        rolloutState: 'Active',
        hosts: 8,
      },
    ],
  },
);

export const ChannelListSchema = Type.Object(
  {
    channels: Type.Array(ChannelDetailSchema),
    nextCursor: NextCursor,
  },
  {
    examples: [
      {
        channels: [
          {
            name: 'stable',
            freshness_window_minutes: 60,
            seq: 12,
            hosts: 8,
            pause: { actor: 'ada', reason: 'disk alarms', at: '2026-05-16T01:27:01.000Z' },
          },
        ],
        nextCursor: 'stable',
      },
    ],
  },
);

export const FleetSchema = Type.Object(
  {
    seq: Type.Integer({ description: 'For `expectedSeq` of commands on the fleet.' }),
    headSeq: Type.Integer({ description: 'The last row of the log.' }),
    ref: Type.Optional(Text),
    signedAt: Type.Optional(Instant),
    fleetHash: Type.Optional(Text),
    rejectBefore: Type.Optional(Instant),
    pause: Type.Optional(StopSchema),
    rollouts: Counts('Rollouts by state.'),
    hosts: Counts(
      'Declared hosts by their state in the newest rollout of their channel; `closed`: nobody waits for them.',
    ),
    reachability: Counts('Declared hosts by whether they are heard.'),
    blockers: Counts(
      'Hosts that each gate or remark holds in the newest rollout of a channel; one host may be held by several. Of a rollout under way all its hosts, of others those that the channel declares still.',
    ),
    lateSoaks: Type.Optional(
      Type.Integer({
        minimum: 0,
        description:
          'Of those that `soak-overdue` holds, how many it has held for ten minutes. Absent: of an older server.',
      }),
    ),
    heardStuck: Type.Optional(
      Type.Integer({
        minimum: 0,
        description:
          'Of those that `stuck-move` holds, how many are heard now. Absent: of an older server.',
      }),
    ),
    rolloutBlockers: Type.Optional(
      Counts(
        'Rollouts that do not get on as a whole, by reason; the newest of each channel. Absent: of an older server.',
      ),
    ),
    idle: Type.Optional(
      Type.Object(
        {
          rolloutId: Text,
          since: Type.String({
            description:
              'RFC 3339: when it last moved and the soak of its wave was over, which may be yet to come.',
          }),
        },
        {
          description:
            'Of the rollouts that should move by themselves, the one in which nothing moved for longest; `muster_rollout_idle_seconds`. Absent: all get on, or of an older server.',
        },
      ),
    ),
    quarantines: Count,
    declaredQuarantines: Type.Optional(
      Type.Integer({
        minimum: 0,
        description:
          'Of the quarantined closures, how many some host declares now; others hold nobody. Absent: of an older server.',
      }),
    ),
    deferrals: Count,
    refused: Type.Optional(
      Type.Array(
        Type.Object({
          artifact: Type.String({ description: '`fleet.resolved`, `rollouts/{id}`, or a list.' }),
          reason: Type.String({ description: 'Stable, such as bad-signature.' }),
          detail: Text,
          since: Instant,
        }),
        {
          description:
            'What of the source does not pass verification now; what passed before stays in force. Absent: of an older server.',
        },
      ),
    ),
    staleAt: Type.Optional(
      Type.String({
        description:
          'When the first manifest is too old to grant a dispatch by, unless CI signs it again; RFC 3339. Absent: nothing is declared.',
      }),
    ),
  },
  {
    examples: [
      {
        ...{ seq: 12, headSeq: 1042, ref: '0388fb62', signedAt: '2026-05-16T01:00:00.000Z' },
        ...{
          rollouts: { Active: 1, Superseded: 4 },
          hosts: { Pending: 6, Soaking: 2, Converged: 2 },
        },
        reachability: { reachable: 9, unreachable: 1 },
        blockers: { 'wave-promotion': 5, 'host-unreachable': 1 },
        ...{
          quarantines: 3,
          declaredQuarantines: 0,
          deferrals: 0,
          staleAt: '2026-05-16T02:01:00.000Z',
        },
        refused: [
          {
            ...{ artifact: 'fleet.resolved', reason: 'bad-signature' },
            detail: 'no key of the trust file made this signature',
            since: '2026-05-16T01:27:01.000Z',
          },
        ],
      },
    ],
  },
);

export const QuarantineListSchema = Type.Object(
  {
    quarantines: Type.Array(
      Type.Object({
        channel: Text,
        closure: Text,
        seq: Type.Integer({ description: 'For `expectedSeq` of its clear.' }),
        rolloutId: Text,
        hostname: Type.String({ description: 'Where it failed.' }),
        at: Instant,
      }),
    ),
    nextCursor: NextCursor,
  },
  {
    examples: [
      {
        quarantines: [
          {
            channel: 'stable',
            closure: '5f3a9c',
            seq: 311,
            rolloutId: 'stable@0388fb62',
            hostname: 'web-04',
            at: '2026-05-16T01:27:01.000Z',
          },
        ],
      },
    ],
  },
);

export const DeferralListSchema = Type.Object(
  {
    deferrals: Type.Array(
      Type.Object({
        hostname: Text,
        rolloutId: Text,
        channel: Text,
        targetClosureHash: Text,
        component: Type.Optional(Type.String({ description: 'What needs the reboot.' })),
        deferredAt: Type.Optional(Instant),
      }),
      { description: 'Hosts that staged their release and wait for a reboot.' },
    ),
    nextCursor: NextCursor,
  },
  {
    examples: [
      {
        deferrals: [
          {
            hostname: 'db-01',
            rolloutId: 'stable@0388fb62',
            channel: 'stable',
            targetClosureHash: '5f3a9c',
            component: 'kernel',
            deferredAt: '2026-05-16T01:27:01.000Z',
          },
        ],
      },
    ],
  },
);

export const LeaderSchema = Type.Object(
  {
    epoch: Type.Integer({ description: 'Leadership term; it only grows.' }),
    leading: Type.Optional(
      Type.Boolean({
        description:
          "Whether a process holds the leader's lock now. false: nobody leads, and `holder` was the last who did.",
      }),
    ),
    lockTakenBy: Type.Optional(
      Type.Object(
        { pid: Type.Integer(), application: Text },
        { description: "The session, no Muster's, that holds the leader's lock: nobody can lead." },
      ),
    ),
    working: Type.Optional(
      Type.Boolean({
        description:
          "Whether a process holds the workers' lock now. false: nobody reads the source, looks for silent hosts or sends ticks. Absent: of an older server.",
      }),
    ),
    workersLockTakenBy: Type.Optional(
      Type.Object(
        { pid: Type.Integer(), application: Text },
        {
          description: "The session, no Muster's, that holds the workers' lock: nobody can work.",
        },
      ),
    ),
    holder: Type.String({ description: 'The process that took the term.' }),
    address: Text,
    version: Text,
    since: Instant,
    incarnation: Type.String({
      description: 'Changes when the database was restored or promoted.',
    }),
    headSeq: Type.Integer({ description: 'The last row of the log.' }),
    lastCommitAt: Type.Optional(Instant),
    lastCommitAgeSeconds: Type.Optional(
      Type.Number({
        description:
          'While a process leads and another works a tick is committed every 15 s: more is a worry.',
      }),
    ),
  },
  {
    examples: [
      {
        epoch: 3,
        leading: true,
        working: true,
        holder: 'muster-0',
        address: 'http://10.0.0.7:8080',
        version: '0.1.0',
        since: '2026-05-16T01:27:01.000Z',
        incarnation: '274e7ae9-421a-41e3-802d-5aa0c1d2e3f4',
        headSeq: 1042,
        lastCommitAt: '2026-05-16T01:27:01.000Z',
        lastCommitAgeSeconds: 4.2,
      },
    ],
  },
);

export const QueueSchema = Type.Object(
  {
    rows: Type.Integer({ description: 'Inputs that wait for the leader; counted up to 100,000.' }),
    oldestSeconds: Type.Number({ description: 'Age of the oldest; 0 when none waits.' }),
    dead: Type.Integer({ description: 'Inputs that could not be decided, kept in dead_input.' }),
    deadLastDay: Type.Optional(
      Type.Integer({
        description: 'Of these, how many of the last 24 hours. Absent: of an older server.',
      }),
    ),
    latestDead: Type.Array(
      Type.Object({
        inputId: Type.Integer(),
        kind: Text,
        hostname: Type.Optional(Text),
        rolloutId: Type.Optional(Text),
        error: Text,
        diedAt: Instant,
      }),
      { description: 'The newest first, 20 at the most.' },
    ),
  },
  {
    examples: [
      {
        rows: 0,
        oldestSeconds: 0,
        dead: 1,
        deadLastDay: 1,
        latestDead: [
          {
            inputId: 77,
            kind: 'AgentEvent',
            hostname: 'web-01',
            rolloutId: 'stable@0388fb62',
            error: 'Error: no plan',
            diedAt: '2026-05-16T01:27:01.000Z',
          },
        ],
      },
    ],
  },
);

export type ChannelDetail = Static<typeof ChannelDetailSchema>;
export type ChannelList = Static<typeof ChannelListSchema>;
export type Fleet = Static<typeof FleetSchema>;
export type QuarantineList = Static<typeof QuarantineListSchema>;
export type DeferralList = Static<typeof DeferralListSchema>;
export type Leader = Static<typeof LeaderSchema>;
export type Queue = Static<typeof QueueSchema>;
