/** What every test database holds from the start. */

/** `url`: the template database. Every connection to it must be closed again at the end. */
export function fillTemplate(_url: string): Promise<void> {
  return Promise.resolve();
}
