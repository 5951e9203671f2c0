/** Builds the operator's page into dist/web: names carry a hash of the content, so that browsers may keep them. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';

const OUT = 'dist/web';

rmSync(OUT, { recursive: true, force: true });
mkdirSync(OUT, { recursive: true });
const { metafile } = await build({
  entryPoints: ['web/src/main.tsx', 'web/style.css'],
  entryNames: '[name]-[hash]',
  bundle: true,
  minify: true,
  format: 'esm',
  // What `light-dark()`, in the style sheet, asks of a browser anyway.
  target: ['chrome123', 'firefox120', 'safari17.5'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
  outdir: OUT,
  metafile: true,
  logLevel: 'warning',
});
/** @param {string} ending */
const named = (ending) =>
  `/assets/${path.basename(Object.keys(metafile.outputs).find((file) => file.endsWith(ending)) ?? '')}`;
const page = readFileSync('web/index.html', 'utf8')
  .replace('%SCRIPT%', named('.js'))
  .replace('%STYLE%', named('.css'));
writeFileSync(path.join(OUT, 'index.html'), page);
