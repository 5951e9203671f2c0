/**
 * That the scenarios show everything there is: every row of both transition tables and every refusal, every
 * gate alone and every two of them at once, every command, action, remark and blocker.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { HOST_STATES } from '../../src/reducer/host/record.ts';
import { KINDS } from './support/actions.ts';
import { Seen } from './support/coverage.ts';
import { runScript } from './support/script.ts';

const folder = new URL('scenarios/', import.meta.url);
const seen = new Seen();
for (const name of readdirSync(folder))
  runScript(readFileSync(new URL(name, folder), 'utf8'), seen);

/** The host's table: from, event, to. `guessed` is Soaking by synthesis. */
const ROWS = [
  'Pending DispatchAck → Activating',
  'Activating ActivationStarted → Activating',
  'Activating ActivationCompleted → Soaking',
  'Deferred ActivationCompleted → Soaking',
  'Activating ActivationDeferred → Deferred',
  'Activating ActivationFailed → Failed',
  'Deferred ActivationFailed → Failed',
  'Soaking ProbeTopologyDeclared → Soaking',
  'Soaking ProbeObservedFirst → Soaking',
  'Soaking ProbeResult → Soaking',
  'Soaking ProbeFailureFirst → Soaking',
  'Soaking Failed → Failed',
  'Soaking Converged → Converged',
  'Soaking Converged → invariant-violated',
  'Failed RollbackComplete → Reverted',
  'Failed RollbackComplete → Failed',
  'guessed ActivationCompleted → Soaking',
  'guessed ActivationFailed → Failed',
  'guessed ActivationDeferred → Deferred',
  'guessed RollbackComplete → Reverted',
  'guessed RollbackComplete → Failed',
  'guessed ProbeResult → guessed',
  'guessed Failed → Failed',
  'guessed Converged → Converged',
];

/** Whatever the table does not list is refused, in every state, and everything on what is closed. */
function refusals(): string[] {
  const listed = new Set(ROWS.map((row) => row.replace(/ →.*/, '')));
  return [...HOST_STATES, 'closed'].flatMap((state) =>
    KINDS.map((kind) => `${state} ${kind}`)
      .filter((pair) => !listed.has(pair))
      .map((pair) => `${pair} → illegal-transition`),
  );
}

const VERDICTS = [
  ...['applied', 'noop', 'duplicate', 'illegal-transition', 'invariant-violated', 'malformed'],
  ...['unknown-rollout-host', 'unknown-kind', 'too-large', 'not-found', 'stale-expectation'],
  ...['illegal-command', 'nonce-used', 'token-expired'],
].map((word) => `verdict ${word}`);

const ROLLOUT = [
  'HostJoined: Opening → Active',
  ...['Opening', 'Active', 'Converging', 'Terminal', 'Failed', 'Reverted', 'Cancelled'].map(
    (from) => `SuccessorOpened: ${from} → Superseded`,
  ),
  ...['Active', 'Converging', 'Terminal'].map((from) => `HostStateChanged: ${from} → Failed`),
  'HostStateChanged: Active → Reverted',
  'HostStateChanged: Failed → Reverted',
  'WaveAdvanced: Opening → Opening',
  'WaveAdvanced: Active → Active',
  'LastWaveSoaking: Active → Converging',
  // From Opening only a rollout without hosts could, and no set declares one.
  ...['Active', 'Converging'].map((from) => `AllSettled: ${from} → Terminal`),
  ...['Failed', 'Reverted'].map((from) => `OperatorClearance: ${from} → Active`),
  ...['Opening', 'Active', 'Converging', 'Failed', 'Reverted'].map(
    (from) => `Cancelled: ${from} → Cancelled`,
  ),
  // Only what is not the newest of its channel is pruned, and its successor superseded it: the others never are.
  'RetentionExpired: Superseded → Pruned',
];

const GATES = [
  ...['channel-edges', 'compliance-wave', 'host-busy', 'host-edge', 'host-hold'],
  ...['host-unreachable', 'manifest-rejected', 'manifest-stale'],
  ...['not-declared', 'paused', 'quarantine'],
  ...['rollout-halted', 'wave-promotion', 'wave-promotion-host-unstaged'],
];

/** A budget is asked only for a host that nothing else holds: it is never one of two. */
const ALONE = [...GATES, 'disruption-budget'].map((gate) => `only ${gate}`);
/** Of a channel that is declared no more nothing says for how long its signatures are good. */
const NEVER_BOTH = ['manifest-stale and not-declared'];
const PAIRS = GATES.flatMap((a, i) => GATES.slice(i + 1).map((b) => `${a} and ${b}`)).filter(
  (pair) => !NEVER_BOTH.includes(pair),
);

const ONCE_MORE = ['illegal-command', 'applied'];
const COMMANDS = [
  ...[
    'PauseChannel',
    'ResumeChannel',
    'HoldHost',
    'ReleaseHost',
    'CancelRollout',
    'ClearRollout',
  ].flatMap((command) => [...ONCE_MORE, 'not-found'].map((word) => `${command} ${word}`)),
  ...['PauseFleet', 'ResumeFleet'].flatMap((c) => ONCE_MORE.map((word) => `${c} ${word}`)),
  ...['ClearQuarantine', 'WithdrawDispatch', 'WriteOffHost'].flatMap((command) =>
    ['applied', 'not-found'].map((word) => `${command} ${word}`),
  ),
];

const ACTIONS = [
  ...['QueueDispatch', 'Quarantine', 'StuckMove', 'HoldRef', 'RefuseRef', 'ResumeDispatch resumed'],
  ...[
    'superseded',
    'cancelled',
    'halted',
    'paused',
    'held',
    'quarantined',
    'unreachable',
    'not-declared',
  ].map((reason) => `WithdrawDispatch ${reason}`),
  ...['silent', 'operator', 'unchanged'].map((reason) => `WithdrawDispatch ${reason}`),
  ...['superseded', 'cancelled', 'halted', 'paused', 'held', 'quarantined', 'not-declared'].map(
    (reason) => `SuspendDispatch ${reason}`,
  ),
];

const REMARKS = [
  ...['rollback-failed', 'stuck-move', 'probe-silent', 'dispatch-refused'],
  ...['fleet-silent', 'wave-unproven', 'budget-exceeded'],
].map((name) => `only ${name}`);

const HEARTBEATS = [
  ...['rebooted', 'restarted-mid-switch', 'acknowledgement-lost', 'recovered'].map(
    (cause) => `synthesised ${cause}`,
  ),
  ...['unchanged true', 'closed abandoned', 'closed written-off'],
];

it.each([
  ['every row of the host table', ROWS],
  ['every refusal of the host table', refusals()],
  ['every verdict', VERDICTS],
  ['every row of the rollout table', ROLLOUT],
  ['every gate alone', ALONE],
  ['every two gates at once', PAIRS],
  ['every operator command, done and refused', COMMANDS],
  ['every action and its reasons', ACTIONS],
  ['every remark and blocker', REMARKS],
  ['every synthesis and closing', HEARTBEATS],
])('%s', (_, expected) => {
  expect(expected.filter((word) => !seen.all.has(word))).toEqual([]);
});
