/** `docs/cli.md` is the help of the commands themselves, with what to know before. */
import { describe, expect, it } from 'vitest';
import { caHelp } from '../../src/cli/ca.ts';
import { helpOf, nounHelp } from '../../src/cli/operate/command.ts';
import { NOUNS } from '../../src/cli/operate/nouns.ts';

describe('help', () => {
  it('documents every command as it is', async () => {
    const blocks = NOUNS.flatMap((noun) => [
      `## muster ${noun.noun}\n`,
      ...(noun.verbs.length === 1 ? [] : [fence(nounHelp(noun))]),
      ...noun.verbs.map((verb) => fence(helpOf(noun.noun, verb))),
    ]);
    const files = [FILES, fence(caHelp)];
    const page = [INTRODUCTION, ...blocks, ...files].join('\n');
    await expect(page).toMatchFileSnapshot('../../docs/cli.md');
  });
});

function fence(text: string): string {
  return `\`\`\`text\n${text.trimEnd()}\n\`\`\`\n`;
}

const FILES = `## muster ca

The one command here that speaks to nobody: keys and tokens are made where they are kept. [enrolment.md](enrolment.md) says
when.
`;

const INTRODUCTION = `# The command line

\`muster status\`, \`rollout\`, \`channel\`, \`fleet\`, \`host\`, \`quarantine\`, \`events\` and \`token\` speak to the control plane
over HTTP, and to nothing else. Tables are for people; \`--json\` is for machines. Colours appear on terminals
only. This page is printed from the commands themselves, and a test runs every example
(\`npx vitest run --project processes test/cli/help.test.ts -u\` rewrites it).

## Where, and who you are

A flag wins over a variable, a variable over the profile:

| what | flag | variable | in the profile |
|---|---|---|---|
| address | \`--url\` | \`MUSTER_URL\` | \`url\` |
| token | \`--token\` | \`MUSTER_TOKEN\` | \`token\`, or \`tokenFile\`: a regular file, by its path from the config file's folder |
| certificate | – | – | \`certFile\` and \`keyFile\`, PEM: who you are, whatever token you have |
| authority | – | \`NODE_EXTRA_CA_CERTS\` | \`caFile\`, PEM: whom to believe that it is your control plane, and nobody else |
| profile | \`--profile\` | \`MUSTER_PROFILE\` | \`default\` names it |

Profiles are in \`$XDG_CONFIG_HOME/muster/config.json\`, or \`~/.config/muster/config.json\`:

\`\`\`json
{
  "default": "prod",
  "profiles": {
    "prod": { "url": "https://muster.example.com", "tokenFile": "prod.token" },
    "lab": { "url": "https://10.0.0.7:8080", "caFile": "lab-ca.pem", "certFile": "ada.crt", "keyFile": "ada.key" },
    "laptop": { "url": "http://127.0.0.1:7070" }
  }
}
\`\`\`

Paths are taken from the config file's folder. Without any of these the address is that of \`muster dev\`,
\`http://127.0.0.1:7070\`. [tls.md](tls.md) says which certificates make operators.

## Exit codes

| code | meaning |
|---|---|
| 0 | done; of \`rollout watch\`: Terminal; of \`host explain\`: nothing holds it |
| 1 | refused, not there, or the answer is no |
| 2 | wrong usage |
| 3 | not allowed: no token, or one without the role |
| 4 | the control plane cannot be reached, or is not ready |
| 5 | accepted and durable, but no leader has decided it: ask again with the \`--key\` it names; a token shows in \`token list\` |
| 74 | the output could not be written, such as to a full disk |
| 130 | interrupted before there was an answer, or the end of \`rollout watch\` |

Lists and logs are read page by page, as far as you ask (\`--limit\`, \`--all\`), and printed as they come. One that ends
before its end says so on standard error and names a cursor; give that as \`--cursor\` to go on. With \`--json\` a list
names it as \`nextCursor\`, and rows of the log as \`{"nextCursor": …}\` on standard error, where their own output is rows
and nothing else. A list that breaks off is whole JSON all the same, with \`error\` and \`detail\` in it.

Commands are safe to repeat: each is sent under an Idempotency-Key (\`--key\` to choose it), and while the
control plane is away for a moment it is sent again by itself.

Ages and alarms are told by the control plane's clock; where this machine's differs by half a minute, \`muster status\`
says so.
`;
