/**
 * The house rules that no other tool checks: `npm run tidy`. Lengths of files and functions are in
 * eslint.config.js, dead files and exports in knip.json.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import process from 'node:process';

/** Larger than any source or fixture that a person would read. */
const MAX_BYTES = 1_000_000;
/** Machine-made by nature, or about the very words that are forbidden. */
const EXEMPT = ['package-lock.json', 'scripts/tidy.mjs', 'test/house/tidy.test.ts'];

/**
 * What is wrong with a file.
 *
 * @param {string} file Relative to the repository, with slashes.
 * @param {string} text
 * @returns {string[]}
 */
export function untidy(file, text) {
  const faults = [];
  if (/\b(?:TODO|FIXME)\b(?!\(#\d+\))/.test(text)) {
    faults.push('a TODO needs an issue: write TODO(#12)');
  }
  if (!/^src\/.*\.ts$/.test(file)) return faults;
  if (!/^(?:#!.*\n)?(?:\/\*\*|\/\/)/.test(text)) {
    faults.push('begin with a comment that says why the file exists');
  }
  if (/\/index\.ts$/.test(file) || isBarrel(text)) {
    faults.push('no barrels: import from the file that defines');
  }
  return faults;
}

/** @param {string} text Nothing in it but re-exports and comments? */
function isBarrel(text) {
  const code = text.replace(/\/\*[^]*?\*\/|\/\/.*/g, '').trim();
  const rest = code.replace(
    /export\s+(?:type\s+)?(?:\*(?:\s+as\s+\w+)?|\{[^}]*\})\s+from\s+[^;]+;/g,
    '',
  );
  return code !== '' && rest.trim() === '';
}

function main() {
  const listed = execFileSync('git', ['ls-files', '-z', '-co', '--exclude-standard'], {
    encoding: 'utf8',
  });
  const faults = [];
  for (const file of new Set(listed.split('\0'))) {
    const found = file === '' ? undefined : statSync(file, { throwIfNoEntry: false });
    if (!found?.isFile() || EXEMPT.includes(file)) continue;
    if (found.size > MAX_BYTES) {
      faults.push(`${file}: ${found.size} bytes: nothing generated in bulk is committed`);
      continue;
    }
    const isText = /\.(?:[cm]?[jt]s|sql|md|ya?ml|json|html|css|sh)$/.test(file);
    if (!isText || file.startsWith('test/fixtures/')) continue;
    for (const fault of untidy(file, readFileSync(file, 'utf8'))) faults.push(`${file}: ${fault}`);
  }
  for (const fault of faults) console.error(fault);
  if (faults.length > 0) process.exitCode = 1;
}

if (process.argv[1] === import.meta.filename) main();
