/** What others wrote, inside a sentence of ours: agents send what they like, and people read it. */

/** More than this nobody reads in a sentence; the log has the whole. */
const MOST_QUOTED = 300;

/** As much of it as a person reads. */
export function quote(text: string): string {
  // By code points, none of which is cut in two: each is two units of a string at the most.
  const start = Array.from(text.slice(0, 2 * MOST_QUOTED + 2));
  return start.length > MOST_QUOTED ? `${start.slice(0, MOST_QUOTED).join('')}…` : text;
}

/** Without marks of direction, which would turn around what stands after them. */
export function plain(text: string): string {
  return text.replace(/\p{Bidi_Control}/gu, '\ufffd');
}
