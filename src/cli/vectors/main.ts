/**
 * `npm run vectors -- FILE.jsonl.gz …`: recorded results of the original state machines and planner against
 * this core. Exit 0 only when every difference has the name of a deliberate rule; `--rules` says where each stands.
 */
import { parseArgs } from 'node:util';
import { compareFile, RULES } from './compare.ts';
import { Report } from './report.ts';

const USAGE = 'usage: npm run vectors -- FILE.jsonl.gz … [--json], or --rules';

function read() {
  try {
    const options = { json: { type: 'boolean' }, rules: { type: 'boolean' } } as const;
    const { values, positionals } = parseArgs({ options, allowPositionals: true });
    return { paths: positionals, isJson: values.json === true, wantsRules: values.rules === true };
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    return { paths: [], isJson: false, wantsRules: false };
  }
}

const { paths, isJson, wantsRules } = read();

if (wantsRules) {
  for (const { name, why } of RULES) console.log(`${name}\n    ${why}`);
} else if (paths.length === 0) {
  console.error(USAGE);
  process.exitCode = 2;
} else {
  const report = new Report();
  for (const path of paths) {
    await compareFile(path, report).catch((error: unknown) => {
      // A file that says nothing is as bad as one that contradicts.
      report.enter(path);
      report.add({ at: '', expected: 'recorded results', got: String(error) }, []);
    });
  }
  const summary = report.summary();
  if (isJson) console.log(JSON.stringify(summary));
  else {
    const { compared, agreed, unexplained } = summary;
    console.log(`${String(compared)} compared, ${String(agreed)} agreed`);
    for (const [rule, n] of Object.entries(summary.byRule)) {
      console.log(`${String(n).padStart(6)}  ${rule}`);
    }
    console.log(`${String(unexplained)} unexplained`);
    if (summary.firstUnexplained !== undefined) {
      console.log(JSON.stringify(summary.firstUnexplained, null, 2));
    }
  }
  process.exitCode = summary.unexplained === 0 ? 0 : 1;
}
