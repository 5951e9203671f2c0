/**
 * Buttons of commands, and the one dialog that they open. The dialog belongs to no button: a button goes or turns
 * into its opposite when its subject changes, and what a person is about to confirm must not change with it.
 */
import { createContext, type ComponentChildren } from 'preact';
import {
  useContext,
  useEffect,
  useId,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from 'preact/hooks';
import type { CommandName } from '../../../src/wire/command.ts';
import type { Channels } from '../../../src/wire/reach.ts';
import { useMay } from '../session.ts';
import { CommandDialog } from './command.tsx';
import { COMMAND, goOnFrom, placeOf, type Place } from './focus.ts';

export interface Offer {
  /** On the button and in the dialog: `Hold web-01`. It names the subject: nobody else does where it is confirmed. */
  readonly label: string;
  /** On the button instead, where the line that it stands in names the subject. It is still called `label`, which begins so. */
  readonly short?: string;
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
  /**
   * What of it the command is about, where that is less than what `expectedSeq` counts: a host's hold stays the same
   * while the host moves on. The server compares what it acts on, and the page must not be stricter.
   */
  readonly subject?: string;
  readonly danger?: boolean;
  readonly onDone: () => void;
}

interface Desk {
  /** `from`: where its button is. */
  open(offer: Offer, from: Place): void;
  /** This is on the page now. Returns how to take it back. */
  offer(offer: Offer): () => void;
}

const DeskContext = createContext<Desk>({ open: () => undefined, offer: () => () => undefined });

interface Opened {
  readonly offer: Offer;
  readonly from: Place;
}

export function CommandButton(offer: Offer) {
  const desk = useContext(DeskContext);
  const why = useId();
  const may = useMay(offer.command, offer.reaches);
  const { path, expectedSeq, subject } = offer;
  const offered = may === 'yes';
  const button = useRef<HTMLButtonElement>(null);
  useLayoutEffect(() => {
    const own = button.current;
    return () => {
      if (own === null || document.activeElement !== own) return;
      const place = placeOf(own);
      // When it is gone, and what takes its place is there.
      queueMicrotask(() => goOnFrom(place));
    };
  }, [offered]);
  useEffect(
    () => (offered ? desk.offer(offer) : undefined),
    [desk, offered, path, expectedSeq, subject],
  );
  if (may === 'no') return null;
  if (may !== 'yes') {
    return (
      <>
        <button
          type="button"
          disabled
          title={may.beyond}
          aria-label={offer.label}
          aria-describedby={why}
        >
          {offer.short ?? offer.label}
        </button>
        <span class="hidden" id={why}>
          {may.beyond}
        </span>
      </>
    );
  }
  return (
    <button
      type="button"
      ref={button}
      class={offer.danger === true ? 'danger' : ''}
      aria-label={offer.label}
      {...{ [COMMAND]: offer.command }}
      onClick={({ currentTarget }) => desk.open(offer, placeOf(currentTarget))}
    >
      {offer.short ?? offer.label}
    </button>
  );
}

export function CommandDesk({ children }: { readonly children: ComponentChildren }) {
  const offers = useRef(new Map<string, Offer>());
  const [opened, setOpened] = useState<Opened | null>(null);
  const [, setTold] = useState(0);
  const desk = useMemo<Desk>(() => {
    const tell = (): void => setTold((n) => n + 1);
    return {
      open: (offer, from) => setOpened({ offer, from }),
      offer: (offer) => {
        offers.current.set(offer.path, offer);
        tell();
        return () => {
          offers.current.delete(offer.path);
          tell();
        };
      },
    };
  }, []);
  useEffect(() => {
    const close = (): void => setOpened(null);
    addEventListener('hashchange', close);
    return () => removeEventListener('hashchange', close);
  }, []);
  const now = opened === null ? undefined : offers.current.get(opened.offer.path);
  const close = (from: Place): void => {
    setOpened(null);
    // The browser gives the focus back, where there is still whom to give it to.
    queueMicrotask(() => goOnFrom(from));
  };
  return (
    <DeskContext.Provider value={desk}>
      {children}
      {opened === null ? null : (
        <CommandDialog
          offer={asOf(opened.offer, now)}
          changed={!isStill(opened.offer, now)}
          onClose={() => close(opened.from)}
        />
      )}
    </DeskContext.Provider>
  );
}

/** While its subject stays the same, what is sent expects it as it is shown now. */
function asOf(opened: Offer, now: Offer | undefined): Offer {
  const expectedSeq = now?.expectedSeq;
  return expectedSeq === undefined || !isStill(opened, now) ? opened : { ...opened, expectedSeq };
}

/** Whether the page offers the same of the same subject. What a brake is put on may change, as long as it is open. */
function isStill(opened: Offer, now: Offer | undefined): boolean {
  if (now === undefined) return false;
  return opened.subject === undefined
    ? now.expectedSeq === opened.expectedSeq
    : now.subject === opened.subject;
}
