/**
 * A command: what it does in words, a reason for the log, a preview by the deciding code itself, and a
 * confirmation, sent under one key (`sending.ts`). When the page learns that the subject changed, nothing is sent; when
 * only the server knew, that is said, and nothing more is sent until the page knows too, and finds the subject the same.
 */
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { CommandAnswer } from '../../../src/wire/command.ts';
import { hostsTold, summary, type HostsTold } from '../../../src/wire/log-summary.ts';
import { furtherRows } from '../../../src/wire/seqs.ts';
import { shortId } from './basics.tsx';
import type { Offer } from './command-button.tsx';
import { useSending, type Outcome } from './sending.ts';

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
  const { outcome, expectedSeq, ask } = useSending(offer, reason);
  useEffect(() => dialog.current?.showModal(), []);
  const done =
    outcome.kind === 'undecided' ||
    (outcome.kind === 'answer' && outcome.answer.status !== 'preview');
  // The button that was pressed goes, and would take the focus with it: not even for a moment is it on nothing.
  useLayoutEffect(() => {
    if (done) close.current?.focus();
  }, [done]);
  // What was sent may itself be what changed it, and is carried out once, however often it is sent.
  const stale = changed && !done && outcome.kind !== 'busy' && outcome.kind !== 'lost';
  // Until the page has caught up with the server, and shows the same subject still.
  const refusedStale =
    outcome.kind === 'refused' && outcome.isStale && expectedSeq === offer.expectedSeq;
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

function Told({ outcome }: { readonly outcome: Outcome }) {
  switch (outcome.kind) {
    case 'none':
      return null;
    case 'busy':
      return <p class="muted">Asking…</p>;
    case 'refused':
    case 'lost':
      return <p class="problem">{outcome.error}</p>;
    case 'undecided':
      return (
        <p class="notice">
          Taken and durable, and not decided yet. This asks until it is; closing it takes nothing
          back, and the log will show what became of it.
          {outcome.trouble === null ? null : ` Just now: ${outcome.trouble}.`}
        </p>
      );
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

/** As many as fit into a line. */
const MOST_SEQS_NAMED = 5;

function rowsOf(seqs: readonly number[]): string {
  const named = seqs.slice(0, MOST_SEQS_NAMED);
  const rest = seqs.length > named.length ? ` and ${furtherRows(seqs, named.length)} more` : '';
  return `log row ${named.join(', ')}${rest}`;
}

function Answer({ answer }: { readonly answer: CommandAnswer }) {
  switch (answer.status) {
    case 'applied':
      return <p class="good">Done: {rowsOf(answer.seqs)}.</p>;
    case 'queued':
      return null;
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
