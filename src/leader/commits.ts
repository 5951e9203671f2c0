/**
 * The commits of a term, one behind the other on the writer session. The next is sent when the server has taken all of
 * the one before and its COMMIT is on its way: the disk keeps nobody waiting but those who want to be told. COMMIT itself
 * follows the answer to the one before.
 */

interface Commit {
  readonly ids: readonly number[];
  readonly accepted: Promise<void>;
  readonly over: Promise<void>;
}

/** Of one among the others. */
export interface Place {
  /** The end of its predecessor. */
  readonly before: Promise<void>;
  /** To be called when its COMMIT is sent. */
  readonly accept: () => void;
}

export class Commits {
  private last: Commit = { ids: [], accepted: Promise.resolve(), over: Promise.resolve() };

  /** The inputs of the last one, which others may still see in the queue. */
  get ids(): readonly number[] {
    return this.last.ids;
  }

  /** The next may be sent; rejects when the last one failed before. */
  get accepted(): Promise<void> {
    return this.last.accepted;
  }

  /** The last one is answered; where the database refused it, the state is loaded anew. Rejects when it ended the term. */
  get over(): Promise<void> {
    return this.last.over;
  }

  begin(ids: readonly number[], send: (place: Place) => Promise<void>): void {
    let accept = (): void => undefined;
    const early = new Promise<void>((resolve) => {
      accept = resolve;
    });
    const over = send({ before: this.last.over, accept });
    const accepted = Promise.race([early, over]);
    // Whoever comes next hears of it.
    accepted.catch(() => undefined);
    this.last = { ids, accepted, over };
  }
}
