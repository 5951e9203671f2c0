/**
 * The release before this one, built from the repository's own history, so that an upgrade is tried between two
 * builds that really differ. Built once a machine and commit; it borrows our packages, which may only have grown.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';

/**
 * The commit of the release before, on main. After a release, this becomes the commit that was released; until
 * there is a first one, it is the newest commit before certificates, tokens and enrolment came in.
 */
const FORMER = '8bb22ada';

const ROOT = path.resolve(import.meta.dirname, '../../..');
const CACHE = path.join(ROOT, 'node_modules/.cache/muster-former');

/** False, with the reason on the console, for a checkout without history: a tarball, a shallow clone. */
export function hasHistory(): boolean {
  try {
    execFileSync('git', ['-C', ROOT, 'cat-file', '-e', `${FORMER}^{commit}`], { stdio: 'pipe' });
    return true;
  } catch (error) {
    const why = `no commit ${FORMER} here: ${String(error).split('\n')[1] ?? String(error)}`;
    console.log(`skipped: the upgrade from the release before (${why}); git fetch --unshallow`);
    return false;
  }
}

/** Its `dist`. */
export function formerBuild(): string {
  const place = path.join(CACHE, FORMER);
  if (!existsSync(place)) {
    const making = `${place}.${String(process.pid)}`;
    mkdirSync(making, { recursive: true });
    const archive = execFileSync('git', ['-C', ROOT, 'archive', FORMER], {
      maxBuffer: 256 * 1024 ** 2,
    });
    execFileSync('tar', ['-x', '-C', making], { input: archive });
    symlinkSync(path.join(ROOT, 'node_modules'), path.join(making, 'node_modules'));
    for (const script of [
      ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'],
      ['scripts/build-web.mjs'],
    ]) {
      execFileSync(process.execPath, script, { cwd: making, stdio: 'pipe' });
    }
    rmSync(place, { recursive: true, force: true });
    renameSync(making, place);
  }
  return path.join(place, 'dist');
}
