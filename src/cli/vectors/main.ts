/**
 * `npm run vectors -- FILE.jsonl.gz …`: recorded results of the original state machines and planner against
 * this core. Exit 0 only when every difference has the name of a deliberate rule; `--rules` says where each stands.
 */
import { compareFile, RULES } from './compare.ts';
import { Report } from './report.ts';

const paths = process.argv.slice(2).filter((arg) => !arg.startsWith('--'));
const isJson = process.argv.includes('--json');

if (process.argv.includes('--rules')) {
  for (const { name, why } of RULES) console.log(`${name}\n    ${why}`);
} else if (paths.length === 0) {
  console.error('usage: npm run vectors -- FILE.jsonl.gz … [--json], or --rules');
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
