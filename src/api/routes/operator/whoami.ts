/** Who the caller is, as the control plane sees them, and what they may do. */
import { COMMAND_NAMES, COMMANDS } from '../../../wire/command.ts';
import { suffices } from '../../../wire/role.ts';
import { WhoamiSchema } from '../../../wire/access.ts';
import { callerOperator } from '../../identity/identity.ts';
import type { Scope } from '../../scope.ts';
import { about, OPERATOR, present } from './reading.ts';

export function addWhoami(scope: Scope): void {
  scope.get(
    '/v1/whoami',
    { config: OPERATOR, schema: about('Who the caller is, and what they may do', WhoamiSchema) },
    (request) => {
      const { name, role, via, channels, issuedAt, expiresAt } = callerOperator(request);
      return {
        ...{ cn: name, issuedAt: issuedAt ?? new Date(0).toISOString(), role, via },
        ...present({ channels: channels === null ? null : [...channels], expiresAt }),
        commands: COMMAND_NAMES.filter((command) => suffices(role, COMMANDS[command].role)),
      };
    },
  );
}
