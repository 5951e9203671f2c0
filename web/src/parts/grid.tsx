/**
 * Hosts as a grid: thousands at a glance. One host of a wave is in the tab order; arrows move on, as in any
 * grid of a spreadsheet, so that a keyboard is not caught in ten thousand stops.
 */
import { Component } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { links, signOf } from './basics.tsx';

export interface GridHost {
  readonly name: string;
  readonly state: string;
  readonly blocked: boolean;
  readonly closed: string | undefined;
}

/**
 * Beyond this many a cell is a dot in a full colour: its sign would not be legible, its name is told by pointer
 * and reader. One that is held is hollow, so that what moves or fails stands out among thousands that wait.
 */
const DOTS_FROM = 1_500;

function labelOf({ name, state, blocked, closed }: GridHost): string {
  const held = blocked ? ', held' : '';
  return closed === undefined ? `${name}: ${state}${held}` : `${name}: ${state}, closed: ${closed}`;
}

/** Drawn anew only when its host changed: of thousands a few do, four times a second. */
class Cell extends Component<{ readonly host: GridHost; readonly first: boolean }> {
  override shouldComponentUpdate({ host, first }: Cell['props']): boolean {
    return host !== this.props.host || first !== this.props.first;
  }

  override render({ host, first }: Cell['props']) {
    return (
      <li>
        <a
          href={links.host(host.name)}
          class={`cell s-${host.state}${host.blocked ? ' held' : ''}${host.closed === undefined ? '' : ' closed'}`}
          tabindex={first ? 0 : -1}
          aria-label={labelOf(host)}
          title={labelOf(host)}
        >
          <span aria-hidden="true">{signOf(host.state)}</span>
        </a>
      </li>
    );
  }
}

export function HostGrid({
  hosts,
  label,
}: {
  readonly hosts: readonly GridHost[];
  readonly label: string;
}) {
  const list = useRef<HTMLUListElement>(null);
  // Who was in the tab order may have been filtered out.
  useEffect(() => {
    if (list.current?.querySelector('a[tabindex="0"]') !== null) return;
    list.current.querySelector('a')?.setAttribute('tabindex', '0');
  });
  const move = (event: KeyboardEvent): void => {
    const cells = [...(list.current?.querySelectorAll<HTMLAnchorElement>('a') ?? [])];
    const at = cells.indexOf(document.activeElement as HTMLAnchorElement);
    const next = at < 0 ? undefined : cells[target(event.key, at, cells)];
    if (next === undefined) return;
    event.preventDefault();
    cells[at]?.setAttribute('tabindex', '-1');
    next.setAttribute('tabindex', '0');
    next.focus();
  };
  return (
    <ul
      class={hosts.length >= DOTS_FROM ? 'grid dots' : 'grid'}
      ref={list}
      aria-label={label}
      onKeyDown={move}
    >
      {hosts.map((host, i) => (
        <Cell key={host.name} host={host} first={i === 0} />
      ))}
    </ul>
  );
}

/** The cell that a key leads to: -1 for keys that lead nowhere. */
function target(key: string, at: number, cells: readonly HTMLAnchorElement[]): number {
  switch (key) {
    case 'ArrowRight':
      return at + 1;
    case 'ArrowLeft':
      return at - 1;
    case 'Home':
      return 0;
    case 'End':
      return cells.length - 1;
    case 'ArrowDown':
      return at + columns(cells);
    case 'ArrowUp':
      return at - columns(cells);
    default:
      return -1;
  }
}

/** How many cells are in a row just now. */
function columns(cells: readonly HTMLAnchorElement[]): number {
  const top = cells[0]?.offsetTop;
  const next = cells.findIndex((cell) => cell.offsetTop !== top);
  return next < 0 ? cells.length : next;
}
