/**
 * Lint with types: a promise that nobody awaits is this product's most likely bug.
 *
 * There is no way around a rule from inside a file (`noInlineConfig`): a rule that is wrong is
 * changed here, where everybody sees it.
 */
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';
import { importTable } from './eslint/import-table.js';

const environment = {
  selector: [
    "MemberExpression[object.name='process'][property.name='env']",
    "MemberExpression[object.property.name='process'][property.name='env']",
    "VariableDeclarator[init.name='process']",
    'ImportDeclaration[source.value=/^(node:)?process$/]',
  ].join(','),
  message: 'The environment is read in src/config.ts only; take settings as arguments.',
};

const nodePrefix = {
  selector:
    'ImportDeclaration[source.value=/^(fs|path|os|net|http|https|crypto|events|url|util)$/]',
  message: 'Write node: before the name.',
};

const bareRequire = {
  selector: "CallExpression[callee.name='require']",
  message: 'Modules are imported.',
};

/** How long such a comparison takes tells how much of a guess was right. */
const hasty = {
  selector:
    "BinaryExpression[operator=/^[!=]==?$/]:not(:has(> Literal)):not(:has(> Identifier[name='undefined'])):has(> :matches(Identifier[name=/(secret|password|bearer|hmac|proof)/i], MemberExpression[property.name=/(secret|password|bearer|hmac|proof)/i]))",
  message: 'Secrets are compared by timingSafeEqual, over their hashes.',
};

const impure = [
  {
    selector: "MemberExpression[object.name='Date'][property.name='now']",
    message: 'Time is an argument of the reducer.',
  },
  {
    selector:
      "NewExpression[callee.name='Date'][arguments.length=0],CallExpression[callee.name='Date']",
    message: 'Time is an argument of the reducer.',
  },
  {
    selector: "MemberExpression[object.name='Math'][property.name='random']",
    message: 'Chance is an argument of the reducer.',
  },
  { selector: 'AwaitExpression', message: 'The reducer does not wait.' },
  { selector: ':function[async=true]', message: 'The reducer does not wait.' },
];

const impureGlobals = [
  ...['process', 'console', 'performance', 'crypto', 'fetch', 'globalThis', 'queueMicrotask'],
  ...['setTimeout', 'setInterval', 'setImmediate', 'Intl', 'WebSocket', 'Buffer'],
];

export default defineConfig(
  // The peers' packages are installed only by those who measure: without them, nothing there has a type.
  {
    ignores: [
      'dist/',
      'coverage/',
      '.muster/',
      'test/fixtures/',
      'web/',
      'chart/',
      'bench/peers/*.mjs',
    ],
  },
  { linterOptions: { noInlineConfig: true, reportUnusedDisableDirectives: 'error' } },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      // Short files, short functions: comments and blank lines count, as they do for a reader.
      'max-lines': ['error', 400],
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-console': 'error',
      // `void` says that the promise never rejects; one that does ends the process, as it should.
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', ignoreRestSiblings: true },
      ],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-import-type-side-effects': 'error',
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/ban-ts-comment': ['error', { 'ts-expect-error': true }],
    },
  },
  {
    files: ['src/**/*.ts'],
    plugins: { house: { rules: { 'import-table': importTable } } },
    rules: {
      'house/import-table': 'error',
      'max-lines-per-function': ['error', 70],
      'no-restricted-syntax': ['error', environment, nodePrefix, bareRequire, hasty],
    },
  },
  {
    files: ['src/config.ts'],
    rules: { 'no-restricted-syntax': ['error', nodePrefix, bareRequire] },
  },
  {
    files: ['src/reducer/**/*.ts'],
    rules: {
      'no-restricted-syntax': ['error', environment, ...impure],
      'no-restricted-globals': ['error', ...impureGlobals],
    },
  },
  {
    files: ['src/cli/**', 'test/**', 'bench/**', 'scripts/**', 'docker/**'],
    rules: { 'no-console': 'off' },
  },
  {
    files: ['test/**'],
    rules: {
      // expect(spy.method) does not call it.
      '@typescript-eslint/unbound-method': 'off',
    },
  },
);
