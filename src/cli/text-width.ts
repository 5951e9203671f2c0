/**
 * How wide a text is on a terminal, and texts cut to a width: hosts, reasons and closures may be in any script, and
 * what is one cell too wide wraps. Colours take no room.
 */

const ESCAPES = /(\u001b\[[\d;]*m)/;
/** Two cells each: CJK, Hangul, full-width forms, emoji. */
const WIDE =
  /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]/u;
const PLAIN = /^[\x20-\x7e]*$/;
const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

export function widthOf(text: string): number {
  return text
    .split(ESCAPES)
    .filter((part) => !part.startsWith('\u001b'))
    .reduce((sum, part) => sum + plainWidth(part), 0);
}

function plainWidth(text: string): number {
  if (PLAIN.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += cellsOf(segment);
  return width;
}

function cellsOf(grapheme: string): number {
  return WIDE.test(grapheme) ? 2 : 1;
}

export function padTo(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - widthOf(text)));
}

/** Cut to `room` cells, with an ellipsis where something was cut; colours around what is cut stay whole. */
export function clip(text: string, room: number): string {
  if (widthOf(text) <= room) return text;
  let left = Math.max(1, room) - 1;
  let isCut = false;
  return text
    .split(ESCAPES)
    .map((part) => {
      if (part.startsWith('\u001b')) return part;
      if (isCut) return '';
      const kept = beginning(part, left);
      left -= plainWidth(kept);
      isCut = kept !== part;
      return isCut ? `${kept}…` : kept;
    })
    .join('');
}

function beginning(text: string, room: number): string {
  if (PLAIN.test(text)) return text.slice(0, room);
  let left = room;
  let kept = '';
  for (const { segment } of graphemes.segment(text)) {
    left -= cellsOf(segment);
    if (left < 0) break;
    kept += segment;
  }
  return kept;
}
