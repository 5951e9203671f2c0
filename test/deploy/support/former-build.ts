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

/** False for a checkout without history, such as a tarball or a shallow clone. */
export function hasHistory(): boolean {
  try {
    const shallow = ['-C', ROOT, 'rev-parse', '--is-shallow-repository'];
    return execFileSync('git', shallow, { encoding: 'utf8' }).trim() === 'false';
  } catch {
    return false; // no git, or no repository
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
