/**
 * Who the operator says they are. Kept in sessionStorage: gone with the tab, never sent by the browser on
 * its own (as a cookie would be, to a forged request), never in a URL.
 */
const KEY = 'muster.credential';

/** `operator:NAME` is for `muster dev`: a server believes it on loopback only, and only when told to. */
const DEVELOPMENT = /^operator:[\w.@+-]{1,128}$/;

export function credential(): string | null {
  return sessionStorage.getItem(KEY);
}

export function signIn(text: string): void {
  sessionStorage.setItem(KEY, text.trim());
}

export function signOut(): void {
  sessionStorage.removeItem(KEY);
}

export function credentialHeaders(): Record<string, string> {
  const text = credential();
  if (text === null) return {};
  if (DEVELOPMENT.test(text)) return { 'x-muster-dev-identity': text };
  return { authorization: `Bearer ${text}` };
}
