/**
 * Where the keyboard goes on when the button that it was on is gone: a command turns its button into another, or takes it
 * away, and a focus on nothing begins at the top of the page again.
 */

/** A button and what it stands in, from the inside out: to be asked while it is on the page. */
export type Place = readonly Element[];

/** Of buttons that a keyboard may go on from. */
export const COMMAND = 'data-command';

export function placeOf(button: Element): Place {
  const place: Element[] = [];
  for (let at: Element | null = button; at !== null; at = at.parentElement) {
    place.push(at);
    if (at.id === 'main') break;
  }
  return place;
}

/** The button itself, else the nearest command beside where it was, else the content. Nothing, where the focus is on something. */
export function goOnFrom(place: Place): void {
  const { activeElement } = document;
  if (activeElement !== null && activeElement !== document.body) return;
  for (const at of place.filter(({ isConnected }) => isConnected)) {
    const found = at.id === 'main' ? at : nearest(at);
    if (!(found instanceof HTMLElement)) continue;
    found.focus({ preventScroll: true });
    return;
  }
}

function nearest(at: Element): Element | null {
  const which = `button[${COMMAND}]:enabled`;
  return at.matches(which) ? at : at.querySelector(which);
}
