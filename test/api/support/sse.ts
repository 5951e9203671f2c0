/** A client of server-sent events: what arrived, in order. */
import { eventually } from '../../support/eventually.ts';

export interface SseMessage {
  readonly event: string;
  readonly id: string;
  readonly data: unknown;
}

export interface SseClient {
  readonly messages: SseMessage[];
  /** The id that a browser would send as Last-Event-ID. */
  readonly lastId: () => string;
  readonly status: number;
  /** Resolves when the server has ended the stream. */
  readonly ended: Promise<void>;
  until(count: number): Promise<readonly SseMessage[]>;
  close(): void;
}

export async function openSse(
  url: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<SseClient> {
  const gone = new AbortController();
  const response = await fetch(url, {
    signal: gone.signal,
    headers: { 'x-muster-dev-identity': 'operator:ada', ...headers },
  });
  const messages: SseMessage[] = [];
  let lastId = '';
  const read = async (): Promise<void> => {
    let text = '';
    const pieces = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    for (let piece = await pieces?.read(); piece?.done === false; piece = await pieces?.read()) {
      text += piece.value;
      const blocks = text.split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) {
        const field = (name: string): string | undefined =>
          block
            .split('\n')
            .find((line) => line.startsWith(`${name}: `))
            ?.slice(name.length + 2);
        lastId = field('id') ?? lastId;
        const data = field('data');
        if (data !== undefined) {
          messages.push({ event: field('event') ?? '', id: lastId, data: JSON.parse(data) });
        }
      }
    }
  };
  return {
    messages,
    lastId: () => lastId,
    status: response.status,
    ended: read().catch(() => undefined),
    async until(count) {
      await eventually(() => messages.length).toBeGreaterThanOrEqual(count);
      return messages;
    },
    close: () => {
      gone.abort();
    },
  };
}
