/** `event web1 probe nginx fail`: what an agent posts, in the fewest words. */
import type { HostEvent, ProbeMode } from '../../../src/reducer/host/events.ts';
import type { RecordRow } from '../../../src/reducer/state/rows.ts';
import type { Time } from '../../../src/reducer/time.ts';

/** The event called `name`, as the host of `record` would post it at `at`; options override what is usual. */
export function scriptEvent(
  name: string,
  words: readonly string[],
  options: ReadonlyMap<string, string>,
  record: RecordRow,
  at: Time,
): HostEvent {
  const seq = Number(options.get('seq') ?? record.lastEventSeq + 1);
  const exitCode = Number(options.get('exit') ?? 0);
  const closure = options.get('closure');
  const [probeName = 'probe', outcome] = words;
  const mode = modeOf(options.get('mode'));
  switch (name) {
    case 'ack':
      return {
        kind: 'DispatchAck',
        seq,
        currentClosureAtDispatch: closure ?? 'c0',
        receivedAt: at,
      };
    case 'started':
      return { kind: 'ActivationStarted', seq, startedAt: at, switchMethod: 'switch' };
    case 'completed': {
      const observedCurrentClosure = closure ?? record.targetClosure;
      return {
        kind: 'ActivationCompleted',
        seq,
        observedCurrentClosure,
        exitCode,
        completedAt: at,
      };
    }
    case 'activation-failed':
      return { kind: 'ActivationFailed', seq, exitCode: 1, stderrTail: 'boom', failedAt: at };
    case 'deferred':
      return { kind: 'ActivationDeferred', seq, component: 'kernel', deferredAt: at };
    case 'topology': {
      const probes = words.map((probe) => ({ probeName: probe, kind: 'tcp', mode }));
      return { kind: 'ProbeTopologyDeclared', seq, probes, declaredAt: at };
    }
    case 'observed':
      return { kind: 'ProbeObservedFirst', seq, probeName, mode, observedAt: at };
    case 'probe':
      return {
        ...{ kind: 'ProbeResult', seq, probeName, mode, observedAt: at, status: verdict(outcome) },
        ...subResults(options.get('control')),
      };
    case 'failing':
      return { kind: 'ProbeFailureFirst', seq, probeName, mode, firstFailedAt: at };
    case 'failed':
      return {
        ...{ kind: 'Failed', seq, failedAt: at, sustainedDurationSecs: 60, failingProbes: words },
        policyApplied: options.has('rollback') ? 'rollback-and-halt' : 'halt',
      };
    case 'rolled-back':
      return {
        ...{ kind: 'RollbackComplete', seq, exitCode, completedAt: at },
        revertedToClosure: closure ?? record.currentClosureAtDispatch ?? 'c0',
      };
    case 'converged': {
      const due = record.soakDueAt !== null && record.soakDueAt > at ? record.soakDueAt : at;
      const convergedAt = options.has('early') ? at : due;
      return {
        kind: 'Converged',
        seq,
        convergedAt,
        currentClosure: closure ?? record.targetClosure,
      };
    }
    default:
      throw new Error(`no event is called ${name}`);
  }
}

function modeOf(text: string | undefined): ProbeMode {
  return text === 'observe' || text === 'disabled' ? text : 'enforce';
}

function verdict(text: string | undefined): 'pass' | 'fail' {
  return text === 'fail' ? 'fail' : 'pass';
}

/** `control=pass,fail`: the same control, for one framework after the other. */
function subResults(control: string | undefined) {
  if (control === undefined) return {};
  const results = control.split(',').map((one, i) => ({
    ...{ controlId: 'c1', status: verdict(one) },
    framework: i === 0 ? 'nis2' : 'iso27001',
  }));
  return { subResults: results };
}
