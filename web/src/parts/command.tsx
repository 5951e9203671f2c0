/**
 * A command: what it does in words, a reason for the log, a preview by the deciding code itself, and a
 * confirmation. The key of the command is made when the dialog opens: pressing twice, or again after an
 * answer that was lost, carries it out once.
 */
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import type { CommandAnswer, CommandName } from '../../../src/wire/command.ts';
import type { Channels } from '../../../src/wire/reach.ts';
import { ApiError, newKey, post } from '../api.ts';
import { useMay } from '../session.ts';
import { hostsTold, summary, type HostsTold } from './summary.ts';

export interface CommandButtonProps {
  /** On the button and in the dialog: `Hold web-01`. */
  readonly label: string;
  /** What it means, and what it does not. */
  readonly about: string;
  /** Not shown to whose role does not suffice. */
  readonly command: CommandName;
  /** Which channels it reaches; null: the whole fleet. Shown, but not to be pressed, beyond the operator's own. */
  readonly reaches: Channels;
  readonly path: string;
  /**
   * The subject as it is shown: refused when it changed since. Not for brakes (pause, hold), which work
   * whatever came in meanwhile.
   */
  readonly expectedSeq?: number;
  readonly danger?: boolean;
  readonly onDone: () => void;
}

export function CommandButton(props: CommandButtonProps) {
  const [open, setOpen] = useState(false);
  const why = useId();
  const may = useMay(props.command, props.reaches);
  if (may === 'no') return null;
  if (may !== 'yes') {
    return (
      <>
        <button type="button" disabled title={may.beyond} aria-describedby={why}>
          {props.label}
        </button>
        <span class="hidden" id={why}>
          {may.beyond}
        </span>
      </>
    );
  }
  return (
    <>
      <button
        type="button"
        class={props.danger === true ? 'danger' : ''}
        onClick={() => setOpen(true)}
      >
        {props.label}
      </button>
      {open ? <CommandDialog {...props} onClose={() => setOpen(false)} /> : null}
    </>
  );
}

type Outcome =
  | { readonly kind: 'none' }
  | { readonly kind: 'busy' }
  | { readonly kind: 'answer'; readonly answer: CommandAnswer }
  | { readonly kind: 'refused'; readonly error: string };

function CommandDialog(props: CommandButtonProps & { readonly onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const key = useRef(newKey());
  // As it was when the dialog opened: what changes meanwhile must not slip in.
  const expectedSeq = useRef(props.expectedSeq);
  const [reason, setReason] = useState('');
  const [outcome, setOutcome] = useState<Outcome>({ kind: 'none' });
  useEffect(() => dialog.current?.showModal(), []);
  const send = async (how: 'dryRun' | 'carryOut'): Promise<void> => {
    setOutcome({ kind: 'busy' });
    const seq = expectedSeq.current;
    const command = {
      path: props.path,
      reason,
      ...(seq === undefined ? {} : { expectedSeq: seq }),
    };
    try {
      const answer = await post(command, how === 'dryRun' ? 'dryRun' : key.current);
      setOutcome({ kind: 'answer', answer });
      if (how === 'carryOut') props.onDone();
    } catch (error) {
      // A refusal is an answer for good under its key; the next try is another command.
      if (error instanceof ApiError && error.status >= 400 && error.status < 500)
        key.current = newKey();
      setOutcome({ kind: 'refused', error: (error as Error).message });
    }
  };
  const done = outcome.kind === 'answer' && outcome.answer.status !== 'preview';
  const mayNot = outcome.kind === 'busy' || reason.trim() === '';
  return (
    <dialog ref={dialog} aria-labelledby="command-title" onClose={props.onClose}>
      <form
        method="dialog"
        onSubmit={(event) => {
          event.preventDefault();
          if (!mayNot && !done) void send('carryOut');
        }}
      >
        <h2 id="command-title">{props.label}</h2>
        <p>{props.about}</p>
        {done ? null : (
          <label>
            Reason, for the log
            <textarea
              required
              maxLength={1_000}
              rows={3}
              value={reason}
              onInput={(event) => setReason(event.currentTarget.value)}
            />
          </label>
        )}
        <div aria-live="polite">
          <Told outcome={outcome} />
        </div>
        <div class="bar end">
          <button type="button" onClick={() => dialog.current?.close()}>
            {done ? 'Close' : 'Cancel'}
          </button>
          {done ? null : (
            <>
              <button type="button" disabled={mayNot} onClick={() => void send('dryRun')}>
                What would happen?
              </button>
              <button
                type="submit"
                class={props.danger === true ? 'primary danger' : 'primary'}
                disabled={mayNot}
              >
                {props.label}
              </button>
            </>
          )}
        </div>
      </form>
    </dialog>
  );
}

function Told({ outcome }: { readonly outcome: Outcome }) {
  switch (outcome.kind) {
    case 'none':
      return null;
    case 'busy':
      return <p class="muted">Asking…</p>;
    case 'refused':
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
                <strong>{summary(row)}</strong>{' '}
                {[row.host, row.rolloutId, row.channel].filter(Boolean).join(' · ')}
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
