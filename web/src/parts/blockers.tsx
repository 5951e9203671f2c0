/** Why something does not move, in the gates' own words. */
import type { Blocker } from '../../../src/wire/why.ts';
import { links, some, State, When } from './basics.tsx';

type Shown = Blocker & { readonly held?: number; readonly examples?: readonly string[] };

/** Each wave that waits for another is a reason: of thirty, the hosts below must stay in reach. */
const MOST_AT_ONCE = 5;

export function Blockers({
  blockers,
  empty,
}: {
  readonly blockers: readonly Shown[];
  readonly empty: string;
}) {
  if (blockers.length === 0) return <p class="muted">{empty}</p>;
  const sorted = [...blockers].sort(inOrder);
  const first = sorted.length <= MOST_AT_ONCE + 1 ? sorted : sorted.slice(0, MOST_AT_ONCE);
  const others = sorted.slice(first.length);
  return (
    <>
      <BlockerList blockers={first} />
      {others.length === 0 ? null : (
        <details>
          <summary>{some(others.length, 'more reason')}</summary>
          <BlockerList blockers={others} />
        </details>
      )}
    </>
  );
}

/** What holds most comes first, and wave 2 before wave 10. */
function inOrder(a: Shown, b: Shown): number {
  if (a.held === undefined || b.held === undefined) return 0;
  return b.held - a.held || a.key.localeCompare(b.key, 'en', { numeric: true });
}

function BlockerList({ blockers }: { readonly blockers: readonly Shown[] }) {
  return (
    <ul class="blockers">
      {blockers.map((blocker) => (
        <Item key={blocker.key + (blocker.examples?.[0] ?? '')} blocker={blocker} />
      ))}
    </ul>
  );
}

function Item({ blocker }: { readonly blocker: Shown }) {
  return (
    <li>
      <p>
        <strong>{blocker.gate}</strong>
        {blocker.held === undefined ? null : <> holds {some(blocker.held, 'host')}</>}
        {blocker.since === undefined ? null : (
          <span class="muted">
            {' '}
            since <When at={blocker.since} />
          </span>
        )}
      </p>
      <p>{blocker.because}</p>
      <p class="muted">Released when {blocker.releasedBy}.</p>
      {blocker.hosts.length === 0 ? null : (
        <details>
          <summary>
            Hosts behind it: {blocker.total}
            {cut(blocker.total, blocker.hosts.length)}
          </summary>
          <ul>
            {blocker.hosts.map((host) => (
              <li key={host.hostname}>
                <a href={links.host(host.hostname)}>{host.hostname}</a>{' '}
                {host.state === undefined ? null : <State name={host.state} />} {host.doing}
              </li>
            ))}
          </ul>
        </details>
      )}
      {blocker.examples === undefined || blocker.examples.length === 0 ? null : (
        <details>
          <summary>
            Hosts it holds: {blocker.examples.slice(0, 3).join(', ')}
            {blocker.examples.length > 3 ? ', …' : ''}
            {cut(blocker.held ?? 0, blocker.examples.length)}
          </summary>
          <ul class="inline">
            {blocker.examples.map((name) => (
              <li key={name}>
                <a href={links.host(name)}>{name}</a>
              </li>
            ))}
          </ul>
        </details>
      )}
    </li>
  );
}

/** A list that is not whole says so. */
function cut(total: number, named: number): string {
  return total > named ? ` (the first ${named} of ${total} are named)` : '';
}
