/**
 * The driver counts an answer's rows in a variable that an error does not reset (postgres 3.4.9): when a statement fails
 * after its first row (cancelled, out of time), the next answer on that connection begins with as many holes. `const [row]`
 * then finds nothing where there is something. Here the holes are taken out before anybody sees them.
 */

/**
 * The same client, whose tagged statements answer with rows only. Its members are found behind it. No Proxy: of a loop of
 * statements that are made through one, half of what they allocate comes through V8's scavenges, of this next to nothing.
 */
export function wholeRows<T extends (...words: never[]) => unknown>(client: T): T {
  const tagged = (...words: Parameters<T>): unknown => {
    const made = client(...words);
    if (isQuery(made)) {
      const { resolve } = made;
      made.resolve = (answer) => {
        resolve(withoutHoles(answer));
      };
    }
    return made;
  };
  return Object.setPrototypeOf(tagged, client) as T;
}

/** The driver's promise of an answer, which it resolves through this member. */
interface Query {
  resolve: (answer: unknown) => void;
}

function isQuery(made: unknown): made is Query {
  return made instanceof Promise && 'resolve' in made && typeof made.resolve === 'function';
}

function withoutHoles(answer: unknown): unknown {
  if (!Array.isArray(answer) || answer.length === 0 || 0 in answer) return answer;
  const first = answer.findIndex((row) => row !== undefined);
  // In place: the answer also knows its count and command.
  answer.splice(0, first === -1 ? answer.length : first);
  return answer;
}
