/** What the scenarios showed: each thing that happened in one of them, as a short text. */
import { isSynthesisedSoaking } from '../../../src/reducer/host/step.ts';
import type { Input } from '../../../src/reducer/input.ts';
import type { LogEntry, ReduceResult, Verdict } from '../../../src/reducer/log.ts';
import { everyGate, heldAt } from '../../../src/reducer/planner/gates.ts';
import type { FleetState } from '../../../src/reducer/state/state.ts';
import type { Millis } from '../../../src/reducer/time.ts';
import type { Claimed } from './desk.ts';
import type { Watcher } from './script.ts';

export class Seen implements Watcher {
  readonly all = new Set<string>();
  private from = '';

  readonly before = (state: FleetState, { input }: Claimed): void => {
    this.from = standing(state, input);
  };

  readonly after = (state: FleetState, { input, now }: Claimed, result: ReduceResult): void => {
    const verdict = wordOf(result.verdict);
    if (input.kind === 'AgentEvent') {
      const to = result.verdict.status === 'applied' ? standing(state, input) : verdict;
      this.all.add(`${this.from} ${input.event.kind} → ${to}`);
    }
    this.all.add(`verdict ${verdict}`);
    if (input.kind === 'OperatorCommand') this.all.add(`${input.command.command} ${verdict}`);
    for (const entry of result.entries) {
      for (const word of wordsOf(entry)) this.all.add(word);
      for (const word of unnoted(state, entry, now)) this.all.add(word);
    }
  };
}

function wordOf(verdict: Verdict): string {
  return verdict.status === 'refused' ? verdict.code : verdict.status;
}

/** Where the record stands that an event speaks of. */
function standing(state: FleetState, input: Input): string {
  if (input.kind !== 'AgentEvent') return '';
  const record = state.rollouts.get(input.rolloutId)?.records.get(input.hostname);
  if (record === undefined) return 'nobody';
  if (record.closed !== null) return 'closed';
  return isSynthesisedSoaking(record) ? 'guessed' : record.state;
}

function wordsOf({ kind, payload }: LogEntry): string[] {
  switch (kind) {
    case 'rollout_event':
      return [`${text(payload['event'])}: ${text(payload['from'])} → ${text(payload['to'])}`];
    case 'plan_action':
      return [`${text(payload['action'])} ${text(payload['reason'])}`.trim()];
    case 'gate_decision':
      return namesOf(payload['gates']);
    case 'transition':
      return ['synthesised', 'closed', 'unchanged'].flatMap((fact) =>
        payload[fact] === undefined ? [] : [`${fact} ${text(payload[fact])}`],
      );
    default:
      return [];
  }
}

/** What holds a host beside what was noted of it, as whoever asks is told. */
function unnoted(state: FleetState, { kind, rolloutId, payload }: LogEntry, now: Millis): string[] {
  const { gates, hosts } = payload;
  if (kind !== 'gate_decision' || rolloutId === null || !Array.isArray(hosts)) return [];
  return hosts.flatMap((hostname) => {
    const held = heldAt(state, rolloutId, text(hostname), now);
    const noted = Array.isArray(gates) ? gates.map(text) : [];
    const every = held === null || noted.length === 0 ? noted : everyGate(held, noted);
    return every.length > noted.length ? namesOf(every) : [];
  });
}

/** Each gate alone, and each two of them at once. */
function namesOf(gates: unknown): string[] {
  const keys = Array.isArray(gates) ? gates.map((key) => text(key).replace(/:.*/, '')) : [];
  const names = [...new Set(keys)].sort();
  if (names.length === 1) return [`only ${names.join('')}`];
  return names.flatMap((a, i) => names.slice(i + 1).map((b) => `${a} and ${b}`));
}

function text(value: unknown): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
