/**
 * A list that is as long as it is: a screenful, kept true like all that is shown, and more of it on demand. What is
 * not shown is said to be there: who believes that they see all of it looks for the rest nowhere else.
 */
import { useRef } from 'preact/hooks';
import { get } from './api.ts';
import { useLiveRead, type LiveReadOptions, type Read } from './live.ts';

/** What a person looks through, */
const FIRST = 100;
/** and what the server gives at once: whoever asks for more means to see much more. */
const MORE = 1_000;

interface Page {
  readonly nextCursor?: string;
}

export interface LongList<R> extends Pick<Read<readonly R[]>, 'error' | 'reload'> {
  /** Null before the first answer. */
  readonly rows: readonly R[] | null;
  /** Shows more; null when all of them are shown. */
  readonly showMore: (() => void) | null;
}

export function useLongList<P extends Page, R>(
  path: string,
  rowsOf: (page: P) => readonly R[],
  options: LiveReadOptions = {},
): LongList<R> {
  const most = useRef(FIRST);
  const { data, error, reload } = useLiveRead(
    path,
    async (signal) => {
      const wanted = most.current;
      // One more than is shown: a page that is just full has a cursor too, with nothing behind it.
      const rows = await walk(path, rowsOf, wanted + 1, signal);
      return { rows: rows.slice(0, wanted), more: rows.length > wanted };
    },
    options,
  );
  const showMore = (): void => {
    most.current += MORE;
    reload();
  };
  return {
    ...{ rows: data?.rows ?? null, error, reload },
    showMore: data?.more === true ? showMore : null,
  };
}

async function walk<P extends Page, R>(
  path: string,
  rowsOf: (page: P) => readonly R[],
  most: number,
  signal: AbortSignal,
): Promise<readonly R[]> {
  const rows: R[] = [];
  let cursor: string | undefined;
  do {
    const limit = String(Math.min(most - rows.length, MORE));
    const query = new URLSearchParams({ limit, ...(cursor === undefined ? {} : { cursor }) });
    const page = await get<P>(`${path}?${query}`, signal);
    rows.push(...rowsOf(page));
    cursor = page.nextCursor;
  } while (cursor !== undefined && rows.length < most);
  return rows;
}
