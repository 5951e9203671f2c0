/**
 * Lists of any length: walked page by page, shown as they come, in order, with no more in memory than a page. A list
 * that ends before its end says so, and names the cursor at which it goes on.
 */
import { EXIT, UsageError } from '../io.ts';
import { numberOption, textOption, type Desk, type Options } from './command.ts';
import { OperateError } from './client.ts';
import { jsonList } from './json-list.ts';
import { some, tableWriter, type Row } from './show.ts';

/** What the API gives at once, where it does not give less. */
const PAGE = 1_000;

/** Of a list that shows `usual` entries, or all of them, when nobody says how many. */
export function listOptions(usual: number | 'all'): Options {
  return {
    limit: { value: 'N', about: `this many at the most (default ${String(usual)})` },
    ...(usual === 'all' ? {} : { all: { about: 'all of them, however many' } }),
    cursor: { value: 'CURSOR', about: 'go on where a list was cut: the nextCursor that it named' },
  };
}

/** How many entries were asked for. */
export function mostOf(desk: Desk, option: string, usual: number): number {
  if (desk.options['all'] !== true) return numberOption(desk, option, usual);
  if (desk.options[option] === undefined) return Infinity;
  throw new UsageError(`--all and --${option} exclude each other`);
}

export interface ListPage<T> {
  readonly rows: readonly T[];
  readonly nextCursor?: string | undefined;
}

export interface PageOf {
  readonly limit: number;
  readonly cursor: string | undefined;
}

export type ReadPage<T> = (page: PageOf) => Promise<ListPage<T>>;

/** The next cursor is undefined with the last page, and with the last that was asked for where nothing follows. */
export async function* walk<T>(
  read: ReadPage<T>,
  most = Infinity,
  from?: string,
): AsyncGenerator<ListPage<T>, void> {
  let left = most;
  let cursor = from;
  do {
    const { rows, nextCursor } = await read({ limit: Math.min(left, PAGE), cursor });
    left -= rows.length;
    cursor = nextCursor;
    // A page that is full may be the last one, or not: a list that is whole must not be called cut.
    if (left <= 0 && cursor !== undefined) {
      const beyond = await read({ limit: 1, cursor });
      if (beyond.rows.length === 0) cursor = undefined;
    }
    yield { rows, nextCursor: cursor };
  } while (left > 0 && cursor !== undefined);
}

export interface Listing<T> {
  /** In JSON. */
  readonly name: string;
  readonly usual: number | 'all';
  readonly read: ReadPage<T>;
  readonly heads: readonly string[];
  readonly row: (one: T) => Row;
  /** Instead of a table of nothing. */
  readonly none: string;
  /** Refuses what cannot be, such as a channel that does not exist, when nothing was found. */
  readonly ifNone?: () => Promise<unknown>;
}

export async function list<T>(desk: Desk, listing: Listing<T>): Promise<number> {
  const usual = listing.usual === 'all' ? Infinity : listing.usual;
  const pages = walk(listing.read, mostOf(desk, 'limit', usual), textOption(desk, 'cursor'));
  const first = await pages.next();
  if (first.done === true || first.value.rows.length === 0) await listing.ifNone?.();
  const sheet = desk.json ? jsonSheet(desk, listing.name) : tableSheet(desk, listing);
  let page: ListPage<T> = first.done === true ? { rows: [] } : first.value;
  sheet.add(page.rows);
  try {
    for await (const next of pages) sheet.add((page = next).rows);
  } catch (error) {
    if (!(error instanceof OperateError)) throw error;
    sheet.end(page.nextCursor, error);
    return error.exitCode;
  }
  sheet.end(page.nextCursor, null);
  return EXIT.ok;
}

interface Sheet<T> {
  add(rows: readonly T[]): void;
  /** `problem`: why it ends before what was asked for. */
  end(nextCursor: string | undefined, problem: OperateError | null): void;
}

function jsonSheet<T>({ io }: Desk, name: string): Sheet<T> {
  const json = jsonList(io, name);
  return {
    add(rows) {
      json.add(rows);
    },
    end(nextCursor, problem) {
      const wrong = problem === null ? {} : { error: problem.code, detail: problem.message };
      json.end({ nextCursor, ...wrong });
    },
  };
}

function tableSheet<T>(desk: Desk, { heads, row, none }: Listing<T>): Sheet<T> {
  const write = tableWriter(heads, desk);
  let shown = 0;
  return {
    add(rows) {
      shown += rows.length;
      if (rows.length > 0) desk.io.stdout.write(write(rows.map(row)));
    },
    end(nextCursor, problem) {
      if (shown === 0 && problem === null) desk.io.stdout.write(`${none}\n`);
      if (problem !== null) desk.io.stderr.write(`muster: ${problem.message}\n`);
      if (nextCursor !== undefined) {
        desk.io.stderr.write(
          `muster: ${some(shown, 'line')} shown, and there are more: --limit, --all or --cursor '${nextCursor}'\n`,
        );
      }
    },
  };
}
