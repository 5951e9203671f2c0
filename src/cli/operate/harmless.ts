/**
 * Closures, reasons and what probes said are what agents and people sent: a control character in them would be obeyed by
 * a terminal, and a mark of direction turns around what we say after it. (JSON escapes the former.)
 */

/** Texts become other texts, so the shape stays. */
export function harmless<T>(value: T): T {
  return JSON.parse(JSON.stringify(value), (_key, part: unknown) =>
    typeof part === 'string' ? part.replace(OBEYED, '\ufffd') : part,
  ) as T;
}

const OBEYED = /[\p{Cc}\p{Bidi_Control}]/gu;
