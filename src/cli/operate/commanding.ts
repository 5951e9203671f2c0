/** Verbs that send a command: each asks for a reason, may be tried dry, and is safe to repeat under its key. */
import { randomUUID } from 'node:crypto';
import {
  CommandAnswerSchema,
  COMMANDS,
  type CommandAnswer,
  type CommandName,
} from '../../wire/command.ts';
import { hostsTold, summary } from '../../wire/log-summary.ts';
import { furtherRows } from '../../wire/seqs.ts';
import { EXIT, UsageError } from '../io.ts';
import { clip } from '../text-width.ts';
import { printObject, type Desk, type Options, type OperatorVerb } from './command.ts';
import { OperateError, pause, type Client } from './client.ts';
import { factsOf } from './events.ts';
import { shortId, some } from './show.ts';
import { commandPath, rolloutId, tokenId } from './paths.ts';

export const REASON: Options = {
  reason: { value: 'TEXT', short: 'r', about: 'why, for whoever reads the log (required)' },
};

type PreviewRow = NonNullable<CommandAnswer['rows']>[number];

const OPTIONS: Options = {
  ...REASON,
  'expected-seq': { value: 'N', about: 'refuse if the subject changed since this seq' },
  'dry-run': { about: 'show what would happen, and do nothing' },
  key: {
    value: 'KEY',
    about: 'Idempotency-Key, to ask again about a command that was sent before',
  },
};

/** How long an undecided command is asked about again: a leader's handover takes seconds. */
const PATIENCE_MS = 15_000;
const ASK_AGAIN_MS = 500;

export interface CommandVerb {
  readonly verb: string;
  readonly command: CommandName;
  readonly args: readonly string[];
  readonly example: string;
}

export function commandVerb({ verb, command, args, example }: CommandVerb): OperatorVerb {
  return {
    verb,
    args,
    about: COMMANDS[command].summary,
    options: OPTIONS,
    examples: [`${example} --reason 'disk alarms, OPS-4711'`, `${example} -r 'what if' --dry-run`],
    run: (desk) => send(desk, command, args),
  };
}

/** Arguments that people give by another name than the API. */
const NAMED: Readonly<Record<string, (client: Client, given: string) => Promise<string>>> = {
  rollout: rolloutId,
  token: tokenId,
};

async function send(desk: Desk, command: CommandName, names: readonly string[]): Promise<number> {
  const { client, options } = desk;
  const { key } = options;
  const reason = reasonOf(desk);
  const values = await Promise.all(
    names.map((name) => {
      const value = desk.args[name] ?? '';
      return NAMED[name]?.(client, value) ?? Promise.resolve(value);
    }),
  );
  const path = commandPath(command, values);
  const body = { reason, ...expectation(options['expected-seq']) };
  if (options['dry-run'] === true) {
    const query = { dryRun: 'true' };
    return preview(desk, await client.post(CommandAnswerSchema, path, body, { key: null, query }));
  }
  const used = typeof key === 'string' ? key : randomUUID();
  const answer = await decided(desk, path, body, used).catch((error: unknown) => {
    throw isInterruption(error) ? interruptedUnder(used) : error;
  });
  return report(desk, [command, ...values].join(' '), answer, used);
}

function isInterruption(error: unknown): boolean {
  return error instanceof OperateError && error.exitCode === EXIT.interrupted;
}

/** It was sent, or was about to be. */
function interruptedUnder(key: string): OperateError {
  const message = `interrupted; it may have been carried out. Ask again with --key ${key}`;
  return new OperateError(message, EXIT.interrupted, 'interrupted-command');
}

export function reasonOf({ options }: Pick<Desk, 'options'>): string {
  const { reason } = options;
  if (typeof reason === 'string' && reason.trim() !== '') return reason;
  throw new UsageError("give a reason: --reason 'why'");
}

function expectation(given: string | boolean | undefined): { expectedSeq?: number } {
  if (typeof given !== 'string') return {};
  if (!/^\d{1,16}$/.test(given)) throw new UsageError('--expected-seq is a whole number');
  return { expectedSeq: Number(given) };
}

export async function decided(
  { client, signal }: Desk,
  path: string,
  body: object,
  key: string,
): Promise<CommandAnswer> {
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    const answer = await client.post(CommandAnswerSchema, path, body, { key });
    if (answer.status !== 'queued' || performance.now() >= until || signal.aborted) return answer;
    await pause(ASK_AGAIN_MS, signal);
  }
}

function report(desk: Desk, what: string, answer: CommandAnswer, key: string): number {
  const { io, json, paint } = desk;
  const queued = answer.status === 'queued';
  if (json) printObject(desk, { ...answer, key });
  else if (queued) {
    io.stderr.write(
      `muster: accepted and durable, but no leader has decided it yet. Ask again with --key ${key}\n`,
    );
  } else {
    const { seqs } = answer;
    const others = seqs.length > 1 ? ` and ${furtherRows(seqs, 1)} that follow from it` : '';
    io.stdout.write(
      `${paint('good', 'done')}  ${what}  (log row ${String(seqs[0] ?? '-')}${others})\n`,
    );
  }
  return queued ? EXIT.undecided : EXIT.ok;
}

function preview(desk: Desk, answer: CommandAnswer): number {
  const { io, json, paint } = desk;
  if (json) {
    printObject(desk, answer);
    return EXIT.ok;
  }
  const { rows = [] } = answer;
  const { total = rows.length } = answer;
  io.stdout.write(
    `${paint('bold', 'dry run')}: nothing happened; it would write ${some(total, 'log row')}:\n`,
  );
  for (const row of rows) io.stdout.write(previewLine(desk, row));
  if (total > rows.length) io.stdout.write(`  And ${String(total - rows.length)} more.\n`);
  return EXIT.ok;
}

/** As `eventLine`: what matters most on a terminal, the whole elsewhere. */
function previewLine({ paint, columns }: Desk, row: PreviewRow): string {
  const { kind, host, rolloutId: rollout, channel } = row;
  const about = (...parts: (string | undefined)[]): string =>
    parts.filter((part) => part !== undefined).join(' ');
  if (columns === null)
    return `  ${kind}  ${about(rollout ?? channel, host)}  ${paint('dim', factsOf(row))}\n`;
  const { names, total } = hostsTold(row);
  const hosts = total > names.length ? [...names, '…'] : names;
  const where = rollout === undefined ? channel : shortId(rollout);
  const rest = about(host ?? (hosts.length > 0 ? hosts.join(', ') : undefined), where);
  const text = rest === '' ? '' : `  ${paint('dim', rest)}`;
  return `${clip(`  ${summary(row)}${text}`, columns)}\n`;
}
