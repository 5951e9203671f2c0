/** `muster events tail`: the log, as it grows. */
import { LOG_KINDS, LogEventSchema, type LogEvent } from '../../wire/log-event.ts';
import { Value } from '@sinclair/typebox/value';
import { summary } from '../../wire/log-summary.ts';
import { isJsonObject } from '../../wire/text.ts';
import { EXIT, UsageError } from '../io.ts';
import { clip, widthOf } from '../text-width.ts';
import { textOption, type Desk, type OperatorNoun } from './command.ts';
import { OperateError, pause } from './client.ts';
import { harmless } from './harmless.ts';
import { mostOf } from './listing.ts';
import { rowOptions, rowsOf, sayEarlier } from './log-rows.ts';
import { rolloutId } from './paths.ts';
import { shortId } from './show.ts';

export function wholeOf({ options }: Pick<Desk, 'options'>): { readonly whole?: 'true' } {
  return options['whole'] === true ? { whole: 'true' } : {};
}

/** A screen. */
const USUAL = 20;

export const EVENTS: OperatorNoun = {
  noun: 'events',
  about: 'the event log: every decision and what led to it',
  verbs: [
    {
      verb: 'tail',
      args: [],
      about: 'The newest rows, and with --follow those to come',
      options: {
        follow: { short: 'f', about: 'go on with what is committed from now on' },
        rollout: { value: 'ROLLOUT', about: 'of this rollout only: its id, or a channel' },
        host: { value: 'NAME', about: 'of this host only' },
        kind: {
          ...{ value: 'KIND', choices: LOG_KINDS },
          about: 'of this kind only, such as operator_command',
        },
        ...rowOptions('lines', USUAL, 'n'),
      },
      examples: [
        'muster events tail -f',
        'muster events tail --kind operator_command -n 5',
        'muster events tail --host web-01 --json | jq -c .payload',
      ],
      run: tail,
    },
  ],
};

/** Between two attempts at a stream that broke off. */
const RETRY_MS = 1_000;

async function tail(desk: Desk): Promise<number> {
  const [rollout, host] = [textOption(desk, 'rollout'), textOption(desk, 'host')];
  const filter = {
    ...{ host, kind: textOption(desk, 'kind'), ...wholeOf(desk) },
    rollout: rollout === undefined ? undefined : await rolloutId(desk.client, rollout),
  };
  const following = desk.options['follow'] === true;
  if (following && desk.options['cursor'] !== undefined) {
    throw new UsageError('--follow goes on after the newest rows, and --cursor is for older ones');
  }
  const { pages, cursor, earlier } = await rowsOf(desk, filter, mostOf(desk, 'lines', USUAL));
  for await (const rows of pages) for (const event of rows) print(desk, event);
  if (following) await follow(desk, filter, cursor);
  else sayEarlier(desk, earlier);
  return EXIT.ok;
}

function print(desk: Desk, event: LogEvent): void {
  desk.io.stdout.write(desk.json ? `${JSON.stringify(event)}\n` : eventLine(desk, event, 0));
}

/** From where the page ended, through every break, without losing or repeating a row. */
async function follow(
  desk: Desk,
  filter: Readonly<Record<string, string | undefined>>,
  from: string,
): Promise<void> {
  let after = from;
  let said = '';
  while (!hasSeenEnough(desk)) {
    try {
      for await (const line of desk.client.lines(
        '/v1/events/stream',
        { ...filter, after },
        desk.signal,
      )) {
        said = '';
        if (line.startsWith('id: ')) after = line.slice(4);
        else if (line.startsWith('data: ')) printData(desk, line.slice(6));
      }
    } catch (error) {
      if (hasSeenEnough(desk)) return;
      if (!(error instanceof OperateError) || error.exitCode !== EXIT.unavailable) throw error;
      if (error.message !== said) desk.io.stderr.write(`muster: ${error.message}; trying on\n`);
      said = error.message;
    }
    await pause(RETRY_MS, desk.signal);
  }
}

/** A function, because it changes while we wait. */
function hasSeenEnough({ signal }: Desk): boolean {
  return signal.aborted;
}

/** Rows, and remarks of the stream itself (another incarnation, rows that are gone). */
function printData(desk: Desk, text: string): void {
  const data: unknown = JSON.parse(text);
  if (Value.Check(LogEventSchema, data)) print(desk, desk.json ? data : harmless(data));
  else desk.io.stderr.write(`muster: the stream says ${text}\n`);
}

/** Below this width the date goes: most rows that people look at are of today. */
const DATE_FROM_COLUMNS = 120;

/**
 * One row as one line; `depth` steps below what caused it. On a terminal, where a line is cut at its end, it begins with
 * what matters most; elsewhere it is whole.
 */
export function eventLine(
  { paint, columns }: Pick<Desk, 'paint' | 'columns'>,
  event: LogEvent,
  depth: number,
): string {
  const { seq, ts, kind, rolloutId, channel, host, actor, causedBy } = event;
  const indent = '  '.repeat(depth);
  const by = actor !== undefined && actor !== host ? ` by ${actor}` : '';
  const cause = causedBy === undefined ? '' : ` ←${String(causedBy)}`;
  const about = (...parts: (string | undefined)[]): string =>
    `${parts.filter((part) => part !== undefined).join(' ')}${by}${cause}`;
  const time = ts.slice(0, 19).replace('T', ' ');
  if (columns === null)
    return `${numbered(seq)}  ${time}  ${indent}${kind}  ${about(rolloutId ?? channel, host)}  ${factsOf(event)}\n`;
  const when = columns < DATE_FROM_COLUMNS ? time.slice(11) : time;
  const head = `${numbered(seq)}  ${when}  ${indent}${kind}`;
  const where = rolloutId === undefined ? channel : shortId(rolloutId);
  const rest = paint('dim', `  ${about(host, where)}  ${factsOf(event)}`);
  const room = Math.max(20, columns - widthOf(head) - 2);
  return `${head}  ${clip(`${summary(event)}${rest}`, room)}\n`;
}

function numbered(seq: number): string {
  return String(seq).padStart(7);
}

/** What the row says, without what it assigned. */
export function factsOf({ payload, omitted = {} }: Pick<LogEvent, 'payload' | 'omitted'>): string {
  if (!isJsonObject(payload)) return '';
  const { v: _version, changes: _changes, ...facts } = payload;
  const left = Object.entries(omitted).flatMap(([name, { bytes, items }]) =>
    name === 'changes'
      ? []
      : [`${name}: ${items === undefined ? `${String(bytes)} B` : String(items)}`],
  );
  return `${JSON.stringify(facts)}${left.length === 0 ? '' : ` left out: ${left.join(', ')}`}`;
}
