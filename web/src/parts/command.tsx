/**
 * A command: what it does in words, a reason for the log, a preview by the deciding code itself, and a
 * confirmation. The key of the command is made when the dialog opens: pressing twice, or again after an
 * answer that was lost, carries it out once. When the page learns that the subject changed, nothing is sent; when
 * only the server knew, that is said, and nothing more is sent until the page knows too, and finds the subject the same.
 */
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { CommandAnswer } from '../../../src/wire/command.ts';
import { ApiError, newKey, post } from '../api.ts';
import { shortId } from './basics.tsx';
import type { Offer } from './command-button.tsx';
import { hostsTold, summary, type HostsTold } from '../../../src/wire/log-summary.ts';

type Outcome =
  | { readonly kind: 'none' }
  | { readonly kind: 'busy' }
  | { readonly kind: 'answer'; readonly answer: CommandAnswer }
  /** `stale`: what was expected, where that was the reason. */
  | { readonly kind: 'refused'; readonly error: string; readonly stale: number | null }
  /** Nobody knows whether it was carried out. */
  | { readonly kind: 'lost'; readonly error: string };

/** `offer`: of the subject that the dialog was opened for. `changed`: the page no longer offers just this. */
export function CommandDialog({
  offer,
  changed,
  onClose,
}: {
  readonly offer: Offer;
  readonly changed: boolean;
  readonly onClose: () => void;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const close = useRef<HTMLButtonElement>(null);
  const [reason, setReason] = useState('');
  const { outcome, ask } = useSending(offer, reason);
  useEffect(() => dialog.current?.showModal(), []);
  const done = outcome.kind === 'answer' && outcome.answer.status !== 'preview';
  // The button that was pressed goes, and would take the focus with it: not even for a moment is it on nothing.
  useLayoutEffect(() => {
    if (done) close.current?.focus();
  }, [done]);
  // What was sent may itself be what changed it, and is carried out once, however often it is sent.
  const stale = changed && !done && outcome.kind !== 'busy' && outcome.kind !== 'lost';
  // Until the page has caught up with the server, and shows the same subject still.
  const refusedStale =
    outcome.kind === 'refused' && outcome.stale !== null && outcome.stale === offer.expectedSeq;
  const noReason = reason.trim() === '';
  const mayNot = stale || refusedStale || outcome.kind === 'busy' || noReason;
  const send = (how: 'dryRun' | 'carryOut'): void => {
    if (!mayNot && !done) void ask(how);
  };
  // Not `disabled` once the focus may be on it: it would be on nothing, and the next key go nowhere.
  const gate = { disabled: noReason, 'aria-disabled': mayNot };
  return (
    <dialog ref={dialog} aria-labelledby="command-title" onClose={onClose}>
      <form
        method="dialog"
        onSubmit={(event) => {
          event.preventDefault();
          send('carryOut');
        }}
      >
        <h2 id="command-title">{offer.label}</h2>
        <p>{offer.about}</p>
        {done ? null : <Reason text={reason} onChange={setReason} />}
        <div aria-live="polite">
          <Told outcome={outcome} />
          {stale || refusedStale ? <LookAgain isKnownHere={stale} /> : null}
        </div>
        <div class="bar end">
          <button type="button" ref={close} onClick={() => dialog.current?.close()}>
            {/* Not "Cancel": beside "Cancel the rollout" that is the other button. */}
            Close
          </button>
          {done ? null : (
            <>
              <button type="button" {...gate} onClick={() => send('dryRun')}>
                What would happen?
              </button>
              <button
                type="submit"
                class={offer.danger === true ? 'primary danger' : 'primary'}
                {...gate}
              >
                {offer.label}
              </button>
            </>
          )}
        </div>
      </form>
    </dialog>
  );
}

function Reason({
  text,
  onChange,
}: {
  readonly text: string;
  readonly onChange: (text: string) => void;
}) {
  return (
    <label>
      Reason, for the log
      <textarea
        required
        maxLength={1_000}
        rows={3}
        value={text}
        onInput={(event) => onChange(event.currentTarget.value)}
      />
    </label>
  );
}

/** `isKnownHere`: the server has not said so yet. */
function LookAgain({ isKnownHere }: { readonly isKnownHere: boolean }) {
  return (
    <p class="problem">
      {isKnownHere ? 'This changed since the dialog opened, and is not sent. ' : null}
      Close it, look again, and repeat what is still needed.
    </p>
  );
}

function useSending(offer: Offer, reason: string) {
  const key = useRef(newKey());
  const expected = useRef(offer.expectedSeq);
  const [outcome, setOutcome] = useState<Outcome>({ kind: 'none' });
  const ask = async (how: 'dryRun' | 'carryOut'): Promise<void> => {
    // What may have been carried out is asked for again as it was: its key knows it.
    if (outcome.kind !== 'lost') expected.current = offer.expectedSeq;
    setOutcome({ kind: 'busy' });
    const { path } = offer;
    const expectedSeq = expected.current;
    const command = { path, reason, ...(expectedSeq === undefined ? {} : { expectedSeq }) };
    try {
      const answer = await post(command, how === 'dryRun' ? 'dryRun' : key.current);
      setOutcome({ kind: 'answer', answer });
      if (how === 'carryOut') offer.onDone();
    } catch (error) {
      const refused = error instanceof ApiError && error.status >= 400 && error.status < 500;
      // A refusal is an answer for good under its key; the next try is another command.
      if (refused) key.current = newKey();
      const isStale = error instanceof ApiError && error.code === 'stale-expectation';
      const stale = isStale ? (expectedSeq ?? null) : null;
      const { message } = error as Error;
      if (refused || how === 'dryRun') setOutcome({ kind: 'refused', error: message, stale });
      else setOutcome({ kind: 'lost', error: message });
    }
  };
  return { outcome, ask };
}

function Told({ outcome }: { readonly outcome: Outcome }) {
  switch (outcome.kind) {
    case 'none':
      return null;
    case 'busy':
      return <p class="muted">Asking…</p>;
    case 'refused':
    case 'lost':
      return <p class="problem">{outcome.error}</p>;
    case 'answer':
      return <Answer answer={outcome.answer} />;
  }
}

/** What a person reads before they decide. */
const MOST_ROWS = 20;

/** Of one host the row says so itself. */
function Hosts({ told: { names, total } }: { readonly told: HostsTold }) {
  if (total < 2 || names.length === 0) return null;
  const more = total > names.length ? ` and ${total - names.length} more` : '';
  return (
    <span class="muted">
      {' '}
      {names.join(', ')}
      {more}
    </span>
  );
}

function Answer({ answer }: { readonly answer: CommandAnswer }) {
  switch (answer.status) {
    case 'applied':
      return <p class="good">Done: log row {answer.seqs.slice(0, 5).join(', ')}.</p>;
    case 'queued':
      return (
        <p class="good">
          Taken, and not decided yet: no leader just now. It is durable; the log will show it.
        </p>
      );
    case 'preview': {
      const rows = answer.rows ?? [];
      const total = answer.total ?? rows.length;
      return (
        <div>
          <p>
            Nothing happened yet. It would write {total === 1 ? 'one row' : `${total} rows`} to the
            log:
          </p>
          <ul class="preview">
            {rows.slice(0, MOST_ROWS).map((row, i) => (
              <li key={i}>
                <strong>
                  <bdi>{summary(row)}</bdi>
                </strong>{' '}
                {[row.host, row.rolloutId === undefined ? row.channel : shortId(row.rolloutId)]
                  .filter(Boolean)
                  .join(' · ')}
                <Hosts told={hostsTold(row)} />
              </li>
            ))}
          </ul>
          {total > MOST_ROWS ? <p class="muted">And {total - MOST_ROWS} more.</p> : null}
        </div>
      );
    }
  }
}
