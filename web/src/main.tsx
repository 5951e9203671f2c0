/** The operator's page: signs in, follows the log, and shows the view that the address names. */
import { render } from 'preact';
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { LogEvent } from '../../src/wire/log-event.ts';
import type { Whoami } from '../../src/wire/access.ts';
import { get, type ApiError } from './api.ts';
import { LiveContext, useLive, type Live } from './live.ts';
import { Skew } from './parts/basics.tsx';
import { CommandDesk } from './parts/command-button.tsx';
import { credential, MeContext, signOut } from './session.ts';
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
  // A certificate admits a browser that holds no token: asked before a person is.
  const [signedIn, setSignedIn] = useState(credential() === null ? null : true);
  const [refused, setRefused] = useState<ApiError | null>(null);
  const leave = useCallback((error: ApiError | null) => {
    signOut();
    setRefused(error);
    setSignedIn(false);
  }, []);
  useEffect(() => {
    if (signedIn !== null) return;
    get('/v1/whoami').then(
      () => setSignedIn(true),
      (error: ApiError) => {
        // Who proved nothing is asked; a proof that does not hold, or a server that cannot tell, is said.
        const isNobody = error.code === 'unauthenticated' && error.proof === null;
        setRefused(isNobody ? null : error);
        setSignedIn(false);
      },
    );
  }, [signedIn]);
  if (signedIn === null) return null;
  if (!signedIn) return <SignIn refused={refused} onAccepted={() => setSignedIn(true)} />;
  return <SignedIn onLeave={leave} />;
}

function SignedIn({ onLeave }: { readonly onLeave: (error: ApiError | null) => void }) {
  const live = useLog(onLeave);
  const address = useAddress();
  const { data: me } = useLive<Whoami>('/v1/whoami', { concerns: () => false, everyMs: 60_000 });
  return (
    <LiveContext.Provider value={live}>
      <MeContext.Provider value={me}>
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
          {me === null ? null : (
            <p class="me">
              {me.cn}{' '}
              <span class="muted">
                {me.role}
                {me.channels === undefined ? '' : ` of ${me.channels.join(', ')}`}
              </span>
            </p>
          )}
          {credential() === null ? null : (
            <button type="button" onClick={() => onLeave(null)}>
              Sign out
            </button>
          )}
        </header>
        <main id="main" tabindex={-1}>
          <Skew />
          <CommandDesk>
            <View address={address} />
          </CommandDesk>
        </main>
      </MeContext.Provider>
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
