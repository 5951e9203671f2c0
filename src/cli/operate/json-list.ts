/** A list as JSON that is written as it is read, in the form of `JSON.stringify(…, null, 2)`: valid wherever it ends. */
import type { Io } from '../io.ts';

export interface JsonList {
  add(rows: readonly unknown[]): void;
  /** What an object says beside its list. */
  end(rest?: object): void;
}

/** `name`: of the list in an object, which begins with `before`; null: the list is all there is. */
export function jsonList(
  { stdout }: Pick<Io, 'stdout'>,
  name: string | null,
  before: object = {},
): JsonList {
  const indent = name === null ? '' : '  ';
  let count = 0;
  stdout.write(
    name === null
      ? '['
      : `{${members(before)
          .map((text) => `${text},`)
          .join('')}\n  ${JSON.stringify(name)}: [`,
  );
  return {
    add(rows) {
      const texts = rows.map((row) => indented(row, `${indent}  `));
      if (texts.length > 0) stdout.write(`${count > 0 ? ',' : ''}${texts.join()}`);
      count += texts.length;
    },
    end(rest = {}) {
      const close = count === 0 ? ']' : `\n${indent}]`;
      const others = members(rest).map((text) => `,${text}`);
      stdout.write(name === null ? `${close}\n` : `${close}${others.join('')}\n}\n`);
    },
  };
}

function members(of: object): string[] {
  return Object.entries(of).flatMap(([name, value]: [string, unknown]) =>
    value === undefined
      ? []
      : [`\n  ${JSON.stringify(name)}: ${indented(value, '  ').trimStart()}`],
  );
}

function indented(value: unknown, by: string): string {
  return `\n${JSON.stringify(value, null, 2)}`.replaceAll('\n', `\n${by}`);
}
