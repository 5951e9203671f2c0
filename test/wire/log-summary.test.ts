/** What makes a row worth reading is in its few words. */
import { expect, it } from 'vitest';
import { summary } from '../../src/wire/log-summary.ts';

it('tells what closed a record, which its states do not', () => {
  const told = (payload: object) => summary({ kind: 'transition', payload });
  expect(told({ from: 'Pending', to: 'Activating' })).toBe('Pending → Activating');
  expect(told({ from: 'Soaking', to: 'Soaking', closed: 'written-off' })).toBe(
    'Closed: written-off (Soaking)',
  );
  expect(told({ from: 'Soaking', to: 'Failed', closed: 'abandoned' })).toBe(
    'Soaking → Failed, closed: abandoned',
  );
});

it('tells which probe said what', () => {
  const event = { kind: 'ProbeResult', probeName: 'http', status: 'fail', mode: 'enforce' };
  const told = (payload: object) => summary({ kind: 'agent_event', payload });
  expect(told({ event, verdict: 'applied' })).toBe('ProbeResult http fail');
  expect(told({ event, verdict: 'refused' })).toBe('ProbeResult http fail refused');
  expect(told({ event: { kind: 'Converged' }, verdict: 'applied' })).toBe('Converged');
  expect(told({ verdict: 'refused' })).toBe('event refused');
});

it('tells why a dispatch is taken back or not offered, and what is quarantined', () => {
  const told = (payload: object) => summary({ kind: 'plan_action', payload });
  const hosts = ['a1'];
  expect(told({ action: 'WithdrawDispatch', reason: 'unreachable', hosts })).toBe(
    'WithdrawDispatch unreachable',
  );
  expect(told({ action: 'SuspendDispatch', reason: 'paused', hosts })).toBe(
    'SuspendDispatch paused',
  );
  expect(told({ action: 'Quarantine', closure: 'clo-1' })).toBe('Quarantine clo-1');
  expect(told({ action: 'QueueDispatch', targetClosure: 'clo-1' })).toBe('QueueDispatch');
});

it('tells the closure of a command, and whom it cleared', () => {
  const told = (payload: object) => summary({ kind: 'operator_command', payload });
  const command = { command: 'ClearQuarantine', channel: 'edge', closure: 'clo-1' };
  expect(told({ command, reason: 'x' })).toBe('Command ClearQuarantine clo-1');
  expect(told({ command, reason: 'x', verdict: 'refused', code: 'not-found' })).toBe(
    'Command ClearQuarantine clo-1 refused: not-found',
  );
  const cleared = ['a1', 'a2', 'a3', 'a4', 'a5', 'a6', 'a7'];
  expect(told({ command: { command: 'ClearRollout' }, reason: 'x', cleared })).toBe(
    'Command ClearRollout, cleared: a1, a2, a3, a4, a5, 2 more',
  );
});
