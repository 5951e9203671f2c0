import { expect, test } from 'vitest';
import { untidy } from '../../scripts/tidy.mjs';

const HEAD = '/** Why. */\n';

test.each([
  ['src/db/x.ts', `${HEAD}export const x = 1; // TODO(#12): less`],
  ['src/cli/muster.ts', `#!/usr/bin/env node\n${HEAD}`],
  ['src/db/x.ts', `// Why.\nexport { y } from './y.ts';\nexport const x = 1;`],
  ['test/x.test.ts', 'no head needed'],
])('%s may read %j', (file, text) => {
  expect(untidy(file, text)).toEqual([]);
});

test.each([
  ['src/db/x.ts', `import 'x';`, 'begin with a comment'],
  ['src/db/x.ts', `${HEAD}// TODO: less`, 'needs an issue'],
  ['docs/x.md', 'FIXME', 'needs an issue'],
  ['src/db/index.ts', `${HEAD}export const x = 1;`, 'no barrels'],
  ['src/db/x.ts', `${HEAD}export * from './y.ts';\nexport type { Z } from './z.ts';`, 'no barrels'],
])('%s may not read %j', (file, text, fault) => {
  expect(untidy(file, text)).toEqual([expect.stringContaining(fault)]);
});
