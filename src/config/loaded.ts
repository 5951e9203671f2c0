/** Where settings come from, and what reading them gives: for the server's settings and the client's alike. */

/** What a source of settings looks like: the process's environment by default. */
export type Environment = Readonly<Record<string, string | undefined>>;

export type Loaded<T> =
  | { readonly ok: true; readonly config: T }
  | {
      readonly ok: false;
      readonly problems: readonly string[];
      /** Where each setting is right by itself, and only what they are together is not. */
      readonly config?: T;
    };
