/** Who the caller is, as the control plane sees them, and what they may do; and who else has a token. */
import { listTokens } from '../../../db/tokens.ts';
import { COMMAND_NAMES, COMMANDS, isFleetWide, type CommandName } from '../../../wire/command.ts';
import { beyondScope } from '../../../wire/reach.ts';
import { suffices } from '../../../wire/role.ts';
import {
  TokenListSchema,
  WhoamiSchema,
  type TokenList,
  type Whoami,
} from '../../../wire/access.ts';
import type { ApiDeps } from '../../deps.ts';
import { callerOperator, type Operator } from '../../identity/identity.ts';
import { fromDatabase } from '../../refusal.ts';
import type { Scope } from '../../scope.ts';
import { about, OPERATOR, present } from './reading.ts';

export function addWhoami(scope: Scope, deps: ApiDeps): void {
  scope.get(
    '/v1/whoami',
    { config: OPERATOR, schema: about('Who the caller is, and what they may do', WhoamiSchema) },
    (request): Whoami => {
      const caller = callerOperator(request);
      const { name, role, via, channels, issuedAt, expiresAt } = caller;
      return {
        ...{ cn: name, issuedAt: issuedAt ?? new Date(0).toISOString(), role, via },
        ...present({ channels: channels === null ? null : [...channels], expiresAt }),
        commands: COMMAND_NAMES.filter((command) => mayGive(caller, command)),
      };
    },
  );
  scope.get(
    '/v1/tokens',
    {
      config: { audience: 'operator', role: 'admin' },
      schema: about('Bearer tokens that were made and not revoked', TokenListSchema),
    },
    () => fromDatabase(deps.log, () => tokens(deps)),
  );
}

/** Somewhere: what a command reaches is judged when it comes, but for those that reach everything. */
function mayGive({ role, channels }: Operator, command: CommandName): boolean {
  if (!suffices(role, COMMANDS[command].role)) return false;
  return !isFleetWide(command) || beyondScope(channels, null) === null;
}

async function tokens({ pool }: ApiDeps): Promise<TokenList> {
  const rows = await pool.run(listTokens);
  return {
    tokens: rows.map(({ channels, lastUsedAt, ...row }) => ({
      ...row,
      ...present({ channels: channels === null ? null : [...channels], lastUsedAt }),
    })),
  };
}
