/**
 * Known vulnerabilities of what is shipped. High ones fail; a registry that cannot be asked is said and passed over,
 * since a gate that needs somebody else's service stands still with it.
 */
import { spawnSync } from 'node:child_process';

const { stdout } = spawnSync('npm', ['audit', '--json', '--omit', 'dev'], { encoding: 'utf8' });

/** @returns {{ info?: number, low?: number, moderate?: number, high?: number, critical?: number } | null} */
function found() {
  try {
    return JSON.parse(stdout).metadata?.vulnerabilities ?? null;
  } catch {
    return null;
  }
}

const counts = found();
if (counts === null) {
  console.log('audit: the registry could not be asked; nothing is known');
} else {
  const { low = 0, moderate = 0, high = 0, critical = 0 } = counts;
  console.log(`audit: ${critical} critical, ${high} high, ${moderate} moderate, ${low} low`);
  if (critical + high > 0) {
    console.error(
      'audit: see `npm audit --omit dev`; update, or say in SECURITY.md why it is harmless',
    );
    process.exitCode = 1;
  }
}
