/** Every operator command of `muster`, once: dispatch, help and completion read this list. */
import { CHANNELS } from './channels.ts';
import type { OperatorNoun } from './command.ts';
import { EVENTS } from './events.ts';
import { HOSTS } from './hosts.ts';
import { FLEET, QUARANTINES } from './others.ts';
import { ROLLOUTS } from './rollouts.ts';
import { STATUS } from './status.ts';
import { TOKENS, WHOAMI } from './tokens.ts';

export const NOUNS: readonly OperatorNoun[] = [
  STATUS,
  ROLLOUTS,
  CHANNELS,
  FLEET,
  HOSTS,
  QUARANTINES,
  EVENTS,
  TOKENS,
  WHOAMI,
];
