/** Numbers by name, as statements count them. */
export type Counts = Readonly<Record<string, number>>;

export interface Counted {
  readonly name: string;
  readonly n: number;
}

export function toCounts(rows: readonly Counted[]): Counts {
  return Object.fromEntries(rows.map(({ name, n }) => [name, n]));
}
