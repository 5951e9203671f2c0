/** A line of a journal as text: one JSON object, with the host whose line it is. */
import type { HealthPolicy } from '../reducer/host/events.ts';
import { decodeHostEvent } from '../wire/event.ts';
import { isJsonObject } from '../wire/text.ts';
import { readObject, readSnapshot, textOf } from './answers.ts';
import type { JournalLine } from './journal.ts';

export function textOfLine(hostname: string, line: JournalLine): string {
  return `${JSON.stringify({ host: hostname, ...line })}\n`;
}

/** By host, in order. Throws on a line that is none, naming where it stands: `path` is for that alone. */
export function linesOf(text: string, path: string): Map<string, JournalLine[]> {
  const lines = new Map<string, JournalLine[]>();
  const texts = text.split('\n');
  texts.pop(); // empty after a whole line; else the torn one
  for (const [index, written] of texts.entries()) {
    const read = readLine(written);
    if (read === null) throw new Error(`${path}:${index + 1} is no line of an agent's journal`);
    const of = lines.get(read.hostname) ?? [];
    of.push(read.line);
    lines.set(read.hostname, of);
  }
  return lines;
}

function readLine(text: string): { readonly hostname: string; readonly line: JournalLine } | null {
  const body = readObject(text);
  const hostname = textOf(body?.['host']);
  if (body === null || hostname === null) return null;
  const line = lineOf(body);
  return line === null ? null : { hostname, line };
}

function lineOf(body: Readonly<Record<string, unknown>>): JournalLine | null {
  const rolloutId = textOf(body['rolloutId']);
  const { wave, seq } = body;
  switch (body['t']) {
    case 'open': {
      const snapshot = isJsonObject(body['snapshot']) ? readSnapshot(body['snapshot']) : null;
      const policy = policyOf(body['policy']);
      if (snapshot === null || policy === null || typeof wave !== 'number') return null;
      return { t: 'open', snapshot, wave, policy };
    }
    case 'event': {
      const decoded = decodeHostEvent(body['event']);
      return rolloutId === null || !decoded.ok
        ? null
        : { t: 'event', rolloutId, event: decoded.event };
    }
    case 'settled': {
      const outcome = textOf(body['outcome']);
      if (rolloutId === null || outcome === null || typeof seq !== 'number') return null;
      return { t: 'settled', rolloutId, seq, outcome };
    }
    default:
      return null;
  }
}

function policyOf(value: unknown): HealthPolicy | null {
  return value === 'halt' || value === 'rollback-and-halt' ? value : null;
}
