/**
 * Who the operator says they are. Kept in sessionStorage: gone with the tab, never sent by the browser on
 * its own (as a cookie would be, to a forged request), never in a URL.
 */
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Whoami } from '../../src/wire/access.ts';
import type { CommandName } from '../../src/wire/command.ts';
import { beyondScope, type Channels } from '../../src/wire/reach.ts';

const KEY = 'muster.credential';

/** `operator:NAME` is for `muster dev`: a server believes it on loopback only, and only when told to. */
const DEVELOPMENT = /^operator:[\w.@+-]{1,128}(:\w+)?$/;

/** Who the server takes the operator for, once it was asked; null before. */
export const MeContext = createContext<Whoami | null>(null);

export type May =
  | 'yes'
  /** Such commands are not theirs. */
  | 'no'
  /** They are, but not here: why. */
  | { readonly beyond: string };

/** Whether this command, which reaches these channels (null: the fleet), is the operator's to give. */
export function useMay(command: CommandName, reaches: Channels): May {
  const me = useContext(MeContext);
  if (me?.commands.includes(command) !== true) return 'no';
  const beyond = beyondScope(me.channels ?? null, reaches);
  return beyond === null ? 'yes' : { beyond: `${me.cn} ${beyond}` };
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
