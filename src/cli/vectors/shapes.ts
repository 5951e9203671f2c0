/**
 * The recorded results as they are on disk: only what the comparison reads, checked before it is believed,
 * so that a file of another kind is an error and not an agreement.
 */
import { Type, type Static, type TSchema } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';

const Text = Type.String();
/** Agreement with nothing is none. */
const STEPS = { minItems: 1 };
const OrNull = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]));
const Policy = Type.Union([Type.Literal('halt'), Type.Literal('rollback-and-halt')]);
const Mode = Type.Union([
  Type.Literal('enforce'),
  Type.Literal('observe'),
  Type.Literal('disabled'),
]);
const Verdict = Type.Union([Type.Literal('pass'), Type.Literal('fail')]);
const HostState = Type.Union([
  Type.Literal('Pending'),
  Type.Literal('Activating'),
  Type.Literal('Deferred'),
  Type.Literal('Soaking'),
  Type.Literal('Converged'),
  Type.Literal('Failed'),
  Type.Literal('Reverted'),
]);

const Probe = Type.Object({
  status: Verdict,
  mode: Mode,
  lastObservedAt: Text,
  lastPassAt: OrNull(Text),
  failureReason: OrNull(Text),
});

const RecordedHost = Type.Object({
  state: HostState,
  lastEventSeq: Type.Integer(),
  currentClosureAtDispatch: OrNull(Text),
  currentClosure: OrNull(Text),
  revertedTo: OrNull(Text),
  dispatchAckedAt: OrNull(Text),
  activationStartedAt: OrNull(Text),
  activationCompletedAt: OrNull(Text),
  activationFailedAt: OrNull(Text),
  probeObservedFirstAt: OrNull(Text),
  probeFailureFirstAt: OrNull(Text),
  soakDueAt: OrNull(Text),
  convergedAt: OrNull(Text),
  failedAt: OrNull(Text),
  policyApplied: OrNull(Policy),
  revertedAt: OrNull(Text),
  probes: Type.Optional(Type.Record(Text, Probe)),
});
export type RecordedHost = Static<typeof RecordedHost>;

export const HostLine = Type.Object({
  id: Text,
  policy: Type.Object({ onHealthFailure: Policy }),
  initial: Type.Object({
    rolloutId: Text,
    hostname: Text,
    channel: Text,
    targetClosure: Text,
    dispatchedAt: Text,
    soakDueAt: Text,
  }),
  steps: Type.Array(
    Type.Object({
      event: Type.Object({ kind: Text, seq: Type.Integer() }),
      result: Text,
      record: Type.Optional(RecordedHost),
      transition: Type.Optional(Type.Object({ from: HostState, to: HostState, at: Text })),
      quarantine: Type.Optional(Type.Object({ channel: Text, closure: Text })),
    }),
    STEPS,
  ),
});
export type HostLine = Static<typeof HostLine>;

const RolloutState = Type.Union([
  Type.Literal('Opening'),
  Type.Literal('Active'),
  Type.Literal('Converging'),
  Type.Literal('Terminal'),
  Type.Literal('Reverted'),
  Type.Literal('Failed'),
  Type.Literal('Superseded'),
  Type.Literal('Pruned'),
]);

const RecordedRollout = Type.Object({
  state: RolloutState,
  currentWave: Type.Integer(),
  terminalAt: OrNull(Text),
  supersededAt: OrNull(Text),
});
export type RecordedRollout = Static<typeof RecordedRollout>;

const Effect = Type.Object({
  kind: Text,
  from: Type.Optional(Text),
  to: Type.Optional(Text),
  at: Type.Optional(Text),
  wave: Type.Optional(Type.Integer()),
});

export const RolloutLine = Type.Object({
  id: Text,
  initial: RecordedRollout,
  steps: Type.Array(
    Type.Object({
      event: Type.Object({
        kind: Text,
        at: Type.Optional(Text),
        hostId: Type.Optional(Text),
        to: Type.Optional(Text),
        fromWave: Type.Optional(Type.Integer()),
        toWave: Type.Optional(Type.Integer()),
        successorRolloutId: Type.Optional(Text),
      }),
      result: Text,
      record: RecordedRollout,
      effects: Type.Optional(Type.Array(Effect)),
    }),
    STEPS,
  ),
});
export type RolloutLine = Static<typeof RolloutLine>;

const Selector = Type.Object({
  tags: Type.Array(Text),
  tagsAny: Type.Array(Text),
  hosts: Type.Array(Text),
  channel: Type.Union([Text, Type.Null()]),
  all: Type.Boolean(),
});
const Budget = Type.Object({
  selector: Selector,
  hosts: Type.Array(Text),
  maxInFlight: OrNull(Type.Integer()),
  maxInFlightPct: OrNull(Type.Integer()),
});
const Edge = Type.Object({ gated: Text, gates: Text });
const Wave = Type.Object({ hosts: Type.Array(Text), soakMinutes: Type.Number() });

const Range = Type.Object({ min: Type.Integer(), max: Type.Integer() });
const Action = Type.Union([
  Type.Object({
    action: Type.Literal('OpenRollout'),
    rolloutId: Text,
    channel: Text,
    targetRef: Text,
  }),
  Type.Object({
    action: Type.Literal('QueueDispatch'),
    rolloutId: Text,
    host: Text,
    targetClosure: Text,
    soakDueAt: Text,
  }),
  Type.Object({
    action: Type.Literal('DeferDispatch'),
    rolloutId: Text,
    host: Text,
    gate: Text,
    reason: Type.Optional(Text),
  }),
]);

export const PlannerLine = Type.Object({
  id: Text,
  now: Text,
  tags: Type.Array(Text),
  fleet: Type.Object({
    hosts: Type.Record(Text, Type.Object({ channel: Text, closureHash: OrNull(Text) })),
    channels: Type.Record(
      Text,
      Type.Object({ rolloutPolicy: Text, freshnessWindow: Type.Integer() }),
    ),
    rolloutPolicies: Type.Record(
      Text,
      Type.Object({
        waves: Type.Array(Type.Object({ soakMinutes: Type.Number() })),
        onHealthFailure: Policy,
      }),
    ),
    waves: Type.Record(Text, Type.Array(Wave)),
    edges: Type.Array(Edge),
    channelEdges: Type.Array(Edge),
  }),
  manifests: Type.Record(
    Text,
    Type.Object({
      channel: Text,
      channelRef: Text,
      displayName: Text,
      hostSet: Type.Array(
        Type.Object({ hostname: Text, waveIndex: Type.Integer(), targetClosure: Text }),
      ),
      disruptionBudgets: Type.Array(Budget),
    }),
  ),
  rollouts: Type.Array(
    Type.Object({
      rolloutId: Text,
      channel: Text,
      targetRef: Text,
      currentWave: Type.Integer(),
      openedAt: Text,
      terminalAt: OrNull(Text),
      budgets: Type.Array(Budget),
    }),
  ),
  hosts: Type.Array(
    Type.Object({
      rolloutId: Text,
      hostname: Text,
      state: HostState,
      targetClosure: Text,
      dispatchAckedAt: OrNull(Text),
      soakDueAt: OrNull(Text),
    }),
  ),
  quarantines: Type.Record(Text, Type.Array(Text)),
  outstandingEnforceFailures: Type.Record(Text, Type.Record(Text, Type.Integer())),
  orderDependent: Type.Boolean(),
  actions: Type.Array(Action),
  varying: Type.Optional(
    Type.Array(Type.Object({ rolloutId: Text, host: Text, outcomes: Type.Array(Text) })),
  ),
  dispatchCount: Type.Optional(Range),
  dispatchedPerBudget: Type.Optional(
    Type.Array(Type.Composite([Type.Object({ selector: Selector }), Range])),
  ),
});
export type PlannerLine = Static<typeof PlannerLine>;

const isHost = TypeCompiler.Compile(HostLine);
const isRollout = TypeCompiler.Compile(RolloutLine);
const isPlanner = TypeCompiler.Compile(PlannerLine);

export type Line =
  | { readonly kind: 'host'; readonly line: HostLine }
  | { readonly kind: 'rollout'; readonly line: RolloutLine }
  | { readonly kind: 'planner'; readonly line: PlannerLine };

/** Which of the three a line is, by what it holds; null for anything else. */
export function lineOf(recorded: unknown): Line | null {
  const value = wholeOf(recorded);
  if (isPlanner.Check(value)) return { kind: 'planner', line: value };
  if (isHost.Check(value)) return { kind: 'host', line: value };
  return isRollout.Check(value) ? { kind: 'rollout', line: value } : null;
}

/** Why a line is none, by the kind that it looks like. */
export function faultOf(recorded: unknown): string {
  const value = wholeOf(recorded);
  const has = (field: string) => typeof value === 'object' && value !== null && field in value;
  const [kind, checked] = has('fleet')
    ? (['planner', isPlanner] as const)
    : has('policy')
      ? (['host', isHost] as const)
      : (['rollout', isRollout] as const);
  if (kind === 'rollout' && !has('steps')) return 'none of the three';
  const fault = checked.Errors(value).First();
  return `a ${kind} line, but for ${fault?.path ?? ''}: ${fault?.message ?? ''}`;
}

/** What is optional may also be recorded as null: in the line, its steps and its actions. */
function wholeOf(recorded: unknown): unknown {
  const value = withoutNulls(recorded);
  if (typeof value !== 'object' || value === null) return value;
  const lists = Object.entries(value).filter(([key]) => key === 'steps' || key === 'actions');
  const whole = lists.map(([key, list]: [string, unknown]) => [
    key,
    Array.isArray(list) ? list.map(withoutNulls) : list,
  ]);
  return { ...value, ...Object.fromEntries(whole) };
}

function withoutNulls(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== null));
}
