/**
 * No accepted input is lost, asked of every commit: what it took from the queue has a verdict, an input that was
 * applied has a row of its own there, and so has every command of an operator, whatever became of it.
 */
import type { NewRow } from '../../src/eventlog/append.ts';
import type { Batch, QueuedInput } from './database.ts';

/** The kind of an input's own row, where it is not enough that there is one. */
const ROW_KINDS: Readonly<Record<string, string>> = {
  AgentEvent: 'agent_event',
  HostReport: 'host_report',
  OperatorCommand: 'operator_command',
};

/** In words; empty when everything was decided. */
export function undecided(
  { verdicts, dead, rows }: Batch,
  taken: readonly QueuedInput[],
): string[] {
  const verdictOf = new Map(verdicts.map((verdict) => [verdict.inputId, verdict]));
  const rowOf = new Map(rows.map((row) => [row.seq, row]));
  const setAside = new Set(dead.map(({ id }) => id));
  return taken.flatMap((input) => {
    const about = `${input.kind} ${String(input.id)}`;
    const found = verdictOf.get(input.id);
    if (found === undefined) return [`${about} left the queue without a verdict`];
    if (setAside.has(input.id)) return [];
    const { status } = found.verdict;
    if (!owesRow(input.kind, status)) return [];
    const own = rowOf.get(found.seqs[0] ?? 0);
    return own !== undefined && tellsOf(own, input)
      ? []
      : [`${about} was ${status} without its row`];
  });
}

/** A tick tells of what it led to alone. */
function owesRow(kind: string, status: string): boolean {
  return kind === 'OperatorCommand' || (status === 'applied' && kind !== 'Tick');
}

function tellsOf(row: NewRow, input: QueuedInput): boolean {
  if (row.causedBy !== null || row.kind !== (ROW_KINDS[input.kind] ?? row.kind)) return false;
  switch (input.kind) {
    case 'AgentEvent':
      return row.hostname === input.hostname && row.rolloutId === input.rolloutId;
    case 'HostReport':
      return row.hostname === input.hostname;
    case 'OperatorCommand':
      return commandIn(row.payload) === commandIn(input.payload);
    default:
      return true;
  }
}

/** Its name: a batch has few, and each names its own row. */
function commandIn(payload: string): string | undefined {
  return /"command":"(\w+)"/.exec(payload)?.[1];
}
