/**
 * Who the operator says they are. Kept in sessionStorage: gone with the tab, never sent by the browser on
 * its own (as a cookie would be, to a forged request), never in a URL.
 */
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Whoami } from '../../src/wire/access.ts';
import type { CommandName } from '../../src/wire/command.ts';

const KEY = 'muster.credential';

/** `operator:NAME` is for `muster dev`: a server believes it on loopback only, and only when told to. */
const DEVELOPMENT = /^operator:[\w.@+-]{1,128}(:\w+)?$/;

/** Who the server takes the operator for, once it was asked; null before. */
export const MeContext = createContext<Whoami | null>(null);

/** Whether the role suffices; what else may be in the way, the server says. */
export function useMay(command: CommandName): boolean {
  return useContext(MeContext)?.commands.includes(command) === true;
}

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
