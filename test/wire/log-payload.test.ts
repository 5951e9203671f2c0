/** Every kind of row that any scenario leads to is described, to the last fact. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { payloadProblem } from '../../src/wire/log-payload.ts';
import { LOG_KINDS } from '../../src/wire/log-event.ts';
import type { LogEntry } from '../../src/reducer/log.ts';
import { Script } from '../reducer/support/script.ts';

const SCENARIOS = path.join(import.meta.dirname, '../reducer/scenarios');

function entriesOf(name: string): LogEntry[] {
  const script = new Script();
  for (const line of readFileSync(path.join(SCENARIOS, name), 'utf8').split('\n')) {
    if (line.trim() !== '' && !/^( {4}|#)/.test(line)) script.run(line.trim());
  }
  return script.trace.flatMap(({ entries }) => entries);
}

const all = readdirSync(SCENARIOS).map((name) => ({ name, entries: entriesOf(name) }));

describe('the facts of log rows', () => {
  it.each(all)('are described: $name', ({ entries }) => {
    const wrong = entries.flatMap(({ kind, payload }) => payloadProblem(kind, payload) ?? []);
    expect(wrong).toEqual([]);
  });

  it('of every kind are among them', () => {
    const kinds = new Set(all.flatMap(({ entries }) => entries.map(({ kind }) => kind)));
    // Outcomes of verification are no script's business.
    expect([...LOG_KINDS].filter((kind) => !kinds.has(kind) && kind !== 'verify_outcome')).toEqual(
      [],
    );
  });

  it('have a cause, and an actor where somebody acted', () => {
    for (const { name, entries } of all) {
      const roots = new Map(entries.filter((e) => e.causedBy === null).map((e) => [e.seq, e]));
      for (const entry of entries) {
        const { kind, actor, causedBy, seq } = entry;
        if (causedBy !== null) expect([name, seq, causedBy < seq]).toEqual([name, seq, true]);
        const begins = [
          'agent_event',
          'operator_command',
          'leadership',
          'manifest_set',
          'verify_outcome',
        ];
        if (begins.includes(kind)) expect([name, seq, roots.has(seq)]).toEqual([name, seq, true]);
        if (['agent_event', 'operator_command', 'leadership'].includes(kind))
          expect([name, seq, actor]).not.toEqual([name, seq, null]);
        if (['transition', 'gate_decision'].includes(kind))
          expect([name, seq, causedBy]).not.toEqual([name, seq, null]);
      }
    }
  });

  it('that are not described are refused', () => {
    expect(payloadProblem('transition', { from: 'a', to: 'b', extra: 1 })).toContain('transition');
    expect(payloadProblem('leadership', {})).toContain('leadership');
    const event = { kind: 'Converged', seq: 0 };
    expect(payloadProblem('agent_event', { event, verdict: 'applied' })).toContain('agent_event');
  });
});
