/**
 * One run at a time for each key. Whoever comes while one is under way shares the next with all others that
 * come meanwhile: what the one under way saw may be older than their wish.
 *
 * Failure behaviour: a failure is also told to those who wait for the next run. A database that gave no answer
 * within its deadline would keep them for another.
 */
interface Turn<V> {
  readonly answer: Promise<V>;
  next: Promise<V> | null;
}

/** Returns what a run that began after the call came to. */
export function oneAtATime<V>(run: (key: string) => Promise<V>): (key: string) => Promise<V> {
  const underWay = new Map<string, Turn<V>>();
  const begin = (key: string): Promise<V> => {
    const turn: Turn<V> = { answer: run(key), next: null };
    underWay.set(key, turn);
    turn.answer.then(
      () => {
        if (turn.next === null) underWay.delete(key);
      },
      () => underWay.delete(key),
    );
    return turn.answer;
  };
  return (key) => {
    const turn = underWay.get(key);
    if (turn === undefined) return begin(key);
    turn.next ??= turn.answer.then(() => begin(key));
    return turn.next;
  };
}
