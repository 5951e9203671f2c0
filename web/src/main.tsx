/** The operator's page: signs in, follows the log, and shows the view that the address names. */
import { render } from 'preact';
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { LogEvent } from '../../src/wire/log-event.ts';
import type { ApiError } from './api.ts';
import { LiveContext, type Live } from './live.ts';
import { credential, signOut } from './session.ts';
import { followLog, type StreamState } from './stream.ts';
import { Health } from './views/health.tsx';
import { Host } from './views/host.tsx';
import { Log } from './views/log.tsx';
import { Overview } from './views/overview.tsx';
import { Rollout } from './views/rollout.tsx';
import { SignIn } from './views/signin.tsx';

const VIEWS = [
  ['#/', 'Fleet'],
  ['#/log', 'Event log'],
  ['#/health', 'Health'],
] as const;

type Listener = (event: LogEvent | null) => void;

const STREAM_WORDS: Readonly<Record<StreamState, string>> = {
  connecting: 'Connecting…',
  live: 'Live',
  away: 'Connection lost, trying again…',
};

function App() {
  const [signedIn, setSignedIn] = useState(credential() !== null);
  const [refused, setRefused] = useState<ApiError | null>(null);
  const leave = useCallback((error: ApiError | null) => {
    signOut();
    setRefused(error);
    setSignedIn(false);
  }, []);
  if (!signedIn) return <SignIn refused={refused} onAccepted={() => setSignedIn(true)} />;
  return <SignedIn onLeave={leave} />;
}

function SignedIn({ onLeave }: { readonly onLeave: (error: ApiError | null) => void }) {
  const live = useLog(onLeave);
  const address = useAddress();
  return (
    <LiveContext.Provider value={live}>
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          document.getElementById('main')?.focus();
        }}
      >
        To the content
      </a>
      <header>
        <a class="brand" href="#/">
          Muster
        </a>
        <nav aria-label="Views">
          {VIEWS.map(([href, name]) => (
            <a key={href} href={href} aria-current={current(address, href) ? 'page' : false}>
              {name}
            </a>
          ))}
        </nav>
        <p class={`live ${live.state}`} role="status">
          {STREAM_WORDS[live.state]}
        </p>
        <button type="button" onClick={() => onLeave(null)}>
          Sign out
        </button>
      </header>
      <main id="main" tabindex={-1}>
        <View address={address} />
      </main>
    </LiveContext.Provider>
  );
}

function current(address: string, href: string): boolean {
  return href === '#/' ? !/^#\/(log|health)/.test(address) : address.startsWith(href);
}

function useAddress(): string {
  const [address, setAddress] = useState(location.hash || '#/');
  useEffect(() => {
    const moved = (): void => {
      setAddress(location.hash || '#/');
      // As after loading another page: the top, and readers begin at the content.
      scrollTo(0, 0);
      document.getElementById('main')?.focus({ preventScroll: true });
    };
    addEventListener('hashchange', moved);
    return () => removeEventListener('hashchange', moved);
  }, []);
  return address;
}

function View({ address }: { readonly address: string }) {
  const [, view = '', rest = '', query = ''] = /^#\/(\w*)\/?([^?]*)\??(.*)$/.exec(address) ?? [];
  const subject = decoded(rest);
  useEffect(() => {
    document.title = `${subject || (view === '' ? 'Fleet' : view)} · Muster`;
  }, [subject, view]);
  const params = new URLSearchParams(query);
  const given = (name: string): string => params.get(name) ?? '';
  if (view === 'rollouts' && subject !== '') return <Rollout key={subject} id={subject} />;
  if (view === 'hosts' && subject !== '') return <Host key={subject} name={subject} />;
  if (view === 'log') {
    return <Log filter={{ kind: given('kind'), rollout: given('rollout'), host: given('host') }} />;
  }
  if (view === 'health') return <Health />;
  return <Overview />;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

/** One stream of the log for all views. */
function useLog(onRefused: (error: ApiError) => void): Live {
  const [state, setState] = useState<StreamState>('connecting');
  const listeners = useRef(new Set<Listener>());
  useEffect(() => {
    const tell = (event: LogEvent | null): void => {
      for (const listener of listeners.current) listener(event);
    };
    return followLog({ onEvent: tell, onReset: () => tell(null), onState: setState, onRefused });
  }, [onRefused]);
  const subscribe = useCallback((listener: Listener) => {
    listeners.current.add(listener);
    return () => void listeners.current.delete(listener);
  }, []);
  return useMemo(() => ({ state, subscribe }), [state, subscribe]);
}

const app = document.getElementById('app');
if (app !== null) render(<App />, app);
