/**
 * The newest rows of the log that match, oldest first, however many. The API gives a page of the newest, or goes on
 * from a row: so a long answer is first walked back for where it begins, and then read on from there. Nothing is
 * missed or repeated, for no row ever comes in between, and no more is in memory than a page.
 */
import { LogPageSchema, type LogEvent, type LogPage } from '../../wire/log-event.ts';
import { textOption, type Desk, type Options } from './command.ts';
import { jsonList } from './json-list.ts';
import { mustBeHost, mustBeRollout } from './names.ts';

const PAGE = 1_000;

/** Of commands that show the newest `usual` rows of the log; `name` is the option that says how many. */
export function rowOptions(name: string, usual: number, short?: string): Options {
  return {
    [name]: {
      ...{ value: 'N', about: `the newest N rows (default ${String(usual)})` },
      ...(short === undefined ? {} : { short }),
    },
    all: { about: 'all rows, from the first on' },
    cursor: { value: 'CURSOR', about: 'rows before these: the nextCursor that was named' },
    whole: { about: 'rows over 64 kB with all they hold, such as every host of a rollout' },
  };
}

export type RowFilter = Readonly<Record<string, string | undefined>>;

export interface Rows {
  readonly pages: AsyncIterable<readonly LogEvent[]> | Iterable<readonly LogEvent[]>;
  /** Pass it as `after`: what comes after these rows. */
  readonly cursor: string;
  /** Rows before these: pass it as `before`. Undefined: there are none. */
  readonly earlier: string | undefined;
}

export async function rowsOf(desk: Desk, filter: RowFilter, most: number): Promise<Rows> {
  const before = textOption(desk, 'cursor');
  const read: Read = async (query) => {
    const page = await desk.client.get(LogPageSchema, '/v1/events', { ...filter, ...query });
    if (page.missing !== undefined) {
      const { from, to } = page.missing;
      desk.io.stderr.write(
        `muster: rows ${String(from)} to ${String(to)} are no longer in the database; the archive has them\n`,
      );
    }
    return page;
  };
  const first = await read({ last: Math.min(most, PAGE), before });
  await mustBeThere(desk, filter, first.events);
  const { cursor } = first;
  const whole = first.earlier === undefined || first.events.length >= most;
  if (whole) {
    const earlier = await ifThere(read, first.earlier);
    return { pages: [first.events], cursor, earlier };
  }
  const from = most === Infinity ? undefined : await beginning(read, first, most);
  const pages = forward(read, from?.after, seqOf(cursor), most);
  return { pages, cursor, earlier: await ifThere(read, from?.earlier) };
}

/** Pauses of the fleet are about every host, and so about one that does not exist. */
async function mustBeThere(
  { client }: Desk,
  { host, rollout }: RowFilter,
  rows: readonly LogEvent[],
): Promise<void> {
  if (rollout !== undefined && rows.length === 0) await mustBeRollout(client, rollout);
  if (host !== undefined && !rows.some((row) => row.host === host)) await mustBeHost(client, host);
}

type Read = (query: Readonly<Record<string, string | number | undefined>>) => Promise<LogPage>;

/** Where the newest `most` rows begin. */
async function beginning(
  read: Read,
  { events, earlier }: LogPage,
  most: number,
): Promise<{ readonly after: string; readonly earlier: string | undefined } | undefined> {
  let counted = events.length;
  let before = earlier;
  while (before !== undefined && counted < most) {
    const page = await read({ last: Math.min(most - counted, PAGE), before });
    if (page.events.length === 0) break;
    counted += page.events.length;
    before = page.earlier;
  }
  if (before === undefined || counted < most) return undefined;
  const [incarnation = ''] = before.split(':');
  return { after: `${incarnation}:${String(seqOf(before) - 1)}`, earlier: before };
}

/** What may be there is looked for: a list that is whole must not be called cut. */
async function ifThere(read: Read, earlier: string | undefined): Promise<string | undefined> {
  if (earlier === undefined) return undefined;
  const { events } = await read({ last: 1, before: earlier });
  return events.length === 0 ? undefined : earlier;
}

async function* forward(
  read: Read,
  from: string | undefined,
  upTo: number,
  most: number,
): AsyncGenerator<readonly LogEvent[]> {
  let after = from;
  let left = most;
  for (;;) {
    const { events, cursor, more } = await read({ after, limit: PAGE });
    const rows = events.filter(({ seq }) => seq <= upTo).slice(0, left);
    yield rows;
    left -= rows.length;
    if (!more || left <= 0 || seqOf(cursor) >= upTo) return;
    after = cursor;
  }
}

function seqOf(cursor: string): number {
  return Number(cursor.slice(cursor.lastIndexOf(':') + 1));
}

/** Rows as lines for people, or as one JSON array. */
export async function showRows(
  desk: Desk,
  filter: RowFilter,
  most: number,
  line: (event: LogEvent) => string,
): Promise<void> {
  const { pages, earlier } = await rowsOf(desk, filter, most);
  const json = desk.json ? jsonList(desk.io, null) : null;
  try {
    for await (const rows of pages) {
      if (json === null) for (const event of rows) desk.io.stdout.write(line(event));
      else json.add(rows);
    }
  } finally {
    json?.end();
  }
  sayEarlier(desk, earlier);
}

export function sayEarlier({ io, json }: Desk, earlier: string | undefined): void {
  if (earlier === undefined) return;
  const text = json
    ? JSON.stringify({ nextCursor: earlier })
    : `muster: there are earlier rows: ask for more, for --all, or for --cursor ${earlier}`;
  io.stderr.write(`${text}\n`);
}
