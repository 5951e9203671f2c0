/**
 * Sends what a dialog asks for. The key of the command is made when the dialog opens: pressing twice, or again after
 * an answer that was lost, carries it out once. What was taken and is not decided yet is asked about under it until it
 * is, for as long as the dialog is open: a refusal must not look like a success.
 */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { CommandAnswer } from '../../../src/wire/command.ts';
import { ApiError, newKey, post, type Command } from '../api.ts';
import type { Offer } from './command-button.tsx';

export type Outcome =
  | { readonly kind: 'none' }
  | { readonly kind: 'busy' }
  | { readonly kind: 'answer'; readonly answer: CommandAnswer }
  /** Taken, and asked about again; `trouble`: why the last time brought nothing. */
  | { readonly kind: 'undecided'; readonly trouble: string | null }
  /** `isStale`: the subject was not what was expected. */
  | { readonly kind: 'refused'; readonly error: string; readonly isStale: boolean }
  /** Nobody knows whether it was carried out. */
  | { readonly kind: 'lost'; readonly error: string };

/** Each time the server waits for two seconds by itself. */
const ASK_AGAIN_MS = 500;

export function useSending(offer: Offer, reason: string) {
  const key = useRef(newKey());
  const expected = useRef(offer.expectedSeq);
  const isOpen = useRef(true);
  const [outcome, setOutcome] = useState<Outcome>({ kind: 'none' });
  useEffect(() => () => void (isOpen.current = false), []);
  const ask = async (how: 'dryRun' | 'carryOut'): Promise<void> => {
    // What may have been carried out is asked for again as it was: its key knows it.
    if (outcome.kind !== 'lost') expected.current = offer.expectedSeq;
    setOutcome({ kind: 'busy' });
    const expectedSeq = expected.current;
    const { path } = offer;
    const command = { path, reason, ...(expectedSeq === undefined ? {} : { expectedSeq }) };
    if (how === 'dryRun') {
      setOutcome(previewOf(await send(command, 'dryRun')));
      return;
    }
    for await (const next of decisions(command, key.current, isOpen)) {
      setOutcome(next);
      if (next.kind === 'answer' || next.kind === 'undecided') offer.onDone();
      // A refusal is an answer for good under its key; the next try is another command.
      if (next.kind === 'refused') key.current = newKey();
    }
  };
  return { outcome, expectedSeq: expected.current, ask };
}

/** What becomes of a command; the last one says how it ended. */
async function* decisions(
  command: Command,
  key: string,
  isOpen: { readonly current: boolean },
): AsyncGenerator<Outcome> {
  let isTaken = false;
  while (isOpen.current) {
    const outcome = await send(command, key);
    const isQueued = outcome.kind === 'answer' && outcome.answer.status === 'queued';
    isTaken ||= isQueued;
    if (!isTaken || (!isQueued && outcome.kind !== 'lost')) {
      yield outcome;
      return;
    }
    yield { kind: 'undecided', trouble: outcome.kind === 'lost' ? outcome.error : null };
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
  }
}

async function send(command: Command, key: string): Promise<Outcome> {
  try {
    return { kind: 'answer', answer: await post(command, key) };
  } catch (error) {
    const { message } = error as Error;
    if (!(error instanceof ApiError) || !isRefusal(error)) return { kind: 'lost', error: message };
    return { kind: 'refused', error: message, isStale: error.code === 'stale-expectation' };
  }
}

/** Of the command. Who is not known any more, or asks too often, learns nothing about it. */
function isRefusal({ status }: ApiError): boolean {
  return status >= 400 && status < 500 && status !== 401 && status !== 429;
}

/** A question that nobody answered is not half carried out. */
function previewOf(outcome: Outcome): Outcome {
  return outcome.kind === 'lost' ? { ...outcome, kind: 'refused', isStale: false } : outcome;
}
