/** Small parts that every view uses. */
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { clockNote } from '../../../src/wire/server-clock.ts';
import { clock, type ApiError } from '../api.ts';

/** In the order a host goes through them; the sign keeps colours from being the only difference. */
export const HOST_STATES = {
  Pending: '·',
  Activating: '▸',
  Deferred: '‖',
  Soaking: '◔',
  Converged: '✓',
  Failed: '✕',
  Reverted: '↩',
} as const;

export type HostStateName = keyof typeof HOST_STATES;

export function signOf(state: string): string {
  return (HOST_STATES as Readonly<Record<string, string>>)[state] ?? '?';
}

export function State({
  name,
  closed,
}: {
  readonly name: string;
  readonly closed?: string | undefined;
}) {
  return (
    <span class={`state s-${name}`}>
      <span aria-hidden="true">{signOf(name) === '?' ? '' : `${signOf(name)} `}</span>
      {name}
      {closed === undefined ? '' : ` (${closed})`}
    </span>
  );
}

/** Ages move on while nothing else does; by the control plane's clock. */
export function useNow(everyMs = 1_000): number {
  const [now, setNow] = useState(clock.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(clock.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}

/** `1 host`, `2 hosts`. */
export function some(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`;
}

export function span(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3_600) return `${Math.floor(s / 60)} min`;
  if (s < 86_400) return `${Math.floor(s / 3_600)} h ${Math.floor((s % 3_600) / 60)} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3_600)} h`;
}

/** An instant as an age, and in full for those who point at it. */
export function When({ at }: { readonly at: string }) {
  const seconds = (useNow() - Date.parse(at)) / 1_000;
  const text = seconds < -1 ? `in ${span(-seconds)}` : `${span(seconds)} ago`;
  return (
    <time dateTime={at} title={at}>
      {text}
    </time>
  );
}

/** Of a text that the command line says within another. */
export function asSentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/** That this browser's clock is another than the control plane's, where that is worth a word. */
export function Skew() {
  useNow();
  const note = clockNote(clock.aheadMs(), span);
  if (note === null) return null;
  return (
    <p class="notice" role="status">
      {asSentence(note)}
    </p>
  );
}

export function Problem({ error }: { readonly error: ApiError | null }) {
  if (error === null) return null;
  return (
    <p class="problem" role="alert">
      {error.message}
    </p>
  );
}

export function Waiting() {
  return <p class="muted">Loading…</p>;
}

export function Section({
  title,
  actions,
  children,
}: {
  readonly title: string;
  readonly actions?: ComponentChildren;
  readonly children: ComponentChildren;
}) {
  const id = `s-${title.toLowerCase().replace(/\W+/g, '-')}`;
  return (
    <section aria-labelledby={id}>
      <div class="bar">
        <h2 id={id}>{title}</h2>
        {actions}
      </div>
      {children}
    </section>
  );
}

/** A term and what it is, inside `<dl class="facts">`. `wide`: for what is long, such as hashes. */
export function Fact({
  name,
  wide = false,
  children,
}: {
  readonly name: string;
  readonly wide?: boolean;
  readonly children: ComponentChildren;
}) {
  return (
    <div class={wide ? 'wide' : ''}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

export const links = {
  rollout: (id: string): string => `#/rollouts/${encodeURIComponent(id)}`,
  host: (name: string): string => `#/hosts/${encodeURIComponent(name)}`,
  log: (query: Readonly<Record<string, string>>): string => `#/log?${new URLSearchParams(query)}`,
};

/** A rollout id is too long for a line: the channel and the ref's beginning say enough. */
export function RolloutLink({ id }: { readonly id: string }) {
  return (
    <a href={links.rollout(id)} title={id}>
      {shortId(id)}
    </a>
  );
}

export function shortId(id: string): string {
  const [channel = '', ref = ''] = id.split('@');
  return `${channel}@${ref.slice(0, 8)}`;
}

/** Its beginning and its end: those who compare look there. */
export function briefHash(text: string): string {
  return text.length > 44 ? `${text.slice(0, 12)}…${text.slice(-28)}` : text;
}

export function Hash({ text }: { readonly text: string }) {
  return (
    <code class="hash" title={text}>
      {briefHash(text)}
    </code>
  );
}

/** Counts by state, as a bar and as words. */
export function Counts({ counts }: { readonly counts: Readonly<Record<string, number>> }) {
  const entries = Object.entries(counts).filter(([, n]) => n > 0);
  const order = Object.keys(HOST_STATES);
  entries.sort(([a], [b]) => order.indexOf(b) - order.indexOf(a));
  return (
    <div class="counts">
      <div class="stack" aria-hidden="true">
        {entries.map(([name, n]) => (
          // Set by script, not by markup: the content security policy allows no inline styles.
          <span class={`part s-${name}`} key={name} style={{ flexGrow: n }} />
        ))}
      </div>
      <ul class="words">
        {entries.map(([name, n]) => (
          <li key={name}>
            <State name={name} /> {n}
          </li>
        ))}
      </ul>
    </div>
  );
}
