/** What a comparison came to. Every difference is either explained by a named rule, or it is not. */
export interface Difference {
  /** Where in its line: kind, id, step or host. */
  readonly at: string;
  readonly expected: unknown;
  readonly got: unknown;
}

export interface Summary {
  readonly compared: number;
  readonly agreed: number;
  readonly byRule: Readonly<Record<string, number>>;
  readonly unexplained: number;
  readonly firstUnexplained?: Difference;
}

export class Report {
  private compared = 0;
  private agreed = 0;
  private unexplained = 0;
  private readonly byRule = new Map<string, number>();
  private first: Difference | null = null;
  private place = '';

  /** The file, or its line, that what follows is about. */
  enter(place: string): void {
    this.place = place;
  }

  /** One thing that was compared: equal, or different for these reasons; no reason is unexplained. */
  add(difference: Difference | null, rules: readonly string[]): void {
    this.compared += 1;
    if (difference === null) this.agreed += 1;
    else if (rules.length === 0) {
      this.unexplained += 1;
      this.first ??= { ...difference, at: `${this.place} ${difference.at}`.trim() };
    }
    for (const rule of difference === null ? [] : rules) {
      this.byRule.set(rule, (this.byRule.get(rule) ?? 0) + 1);
    }
  }

  summary(): Summary {
    const { compared, agreed, unexplained, first } = this;
    const byRule = Object.fromEntries([...this.byRule].sort(([a], [b]) => (a < b ? -1 : 1)));
    const rest = first === null ? {} : { firstUnexplained: first };
    return { compared, agreed, byRule, unexplained, ...rest };
  }
}
