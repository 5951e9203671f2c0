/** Why something does not move, in the gates' own words. */
import type { Blocker } from '../../../src/wire/why.ts';
import { links, State, When } from './basics.tsx';

export function Blockers({
  blockers,
  empty,
}: {
  readonly blockers: readonly (Blocker & { held?: number; examples?: readonly string[] })[];
  readonly empty: string;
}) {
  if (blockers.length === 0) return <p class="muted">{empty}</p>;
  return (
    <ul class="blockers">
      {blockers.map((blocker) => (
        <li key={blocker.key + (blocker.examples?.[0] ?? '')}>
          <p>
            <strong>{blocker.gate}</strong>
            {blocker.held === undefined ? null : <> holds {blocker.held} hosts</>}
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
                Hosts it holds: {blocker.examples.slice(0, 3).join(', ')}…
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
      ))}
    </ul>
  );
}

/** A list that is not whole says so. */
function cut(total: number, named: number): string {
  return total > named ? ` (the first ${named} of ${total} are named)` : '';
}
