/** A deliberate difference from the original, by the name under which the comparison counts it. */
export interface Named {
  readonly name: string;
  /** Where it stands in the specification of the state machines: its list of differences, or its text. */
  readonly why: string;
}

/**
 * The fewest of these rules that still give the answer of all of them: each that can be left out is. None for
 * an answer that none gives, too.
 */
export function needed(
  names: readonly string[],
  isSame: (on: ReadonlySet<string>) => boolean,
): string[] {
  const on = new Set(names);
  if (!isSame(on)) return [];
  for (const name of names) {
    on.delete(name);
    if (!isSame(on)) on.add(name);
  }
  return [...on];
}

/** JSON with sorted keys: what is compared is content, not the order in which it was noted. */
export function sorted(value: unknown): string {
  return JSON.stringify(value, (_, v: unknown) =>
    typeof v === 'object' && v !== null && !Array.isArray(v)
      ? Object.fromEntries(Object.entries(v).sort(([x], [y]) => (x < y ? -1 : 1)))
      : v,
  );
}
