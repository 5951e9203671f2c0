/** Commands of `muster` in the documentation, also those within sentences, are such that there are: words and options. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { COMMON } from '../../src/cli/operate/command.ts';
import { NOUNS } from '../../src/cli/operate/nouns.ts';

const DOCS = path.resolve('docs');
const pages = [
  ...readdirSync(DOCS, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md') && name !== 'cli.md') // printed from the commands
    .map((name) => path.join(DOCS, name)),
  ...['README.md', 'SECURITY.md', 'CONTRIBUTING.md', 'chart/README.md'],
];

/** What a page says of commands, as words up to the shell's next command: in fenced blocks, and in code within a line. */
function commandsIn(page: string): string[][] {
  const text = readFileSync(page, 'utf8');
  const fences = [...text.matchAll(/^ *```\w*\n([\s\S]*?)^ *```$/gm)].map(([, body = '']) => body);
  const prose = text.replaceAll(/^ *```[\s\S]*?^ *```$/gm, '');
  const lines = fences.flatMap((body) => body.replaceAll(/\\\n/g, ' ').split('\n'));
  const spans = [...prose.matchAll(/`([^`]+)`/g)].map(([, span = '']) => span);
  return [...lines, ...spans].flatMap((line) => {
    const command = /^\s*(?:[$>] )?(?:[A-Z_]+=\S* )*muster (\S[^|;&#>]*)/.exec(line)?.[1];
    return command === undefined ? [] : [command.trim().split(/\s+/)];
  });
}

const helps = new Map<string, string>();
function muster(...args: string[]): string {
  const asked = args.join(' ');
  const known = helps.get(asked);
  if (known !== undefined) return known;
  const text = execFileSync(process.execPath, ['dist/cli/muster.js', ...args], {
    encoding: 'utf8',
  });
  helps.set(asked, text);
  return text;
}

const optionsOf = (words: readonly string[]): string[] =>
  words.filter((word) => /^--?[a-z]/.test(word)).map((word) => word.replace(/=.*/, ''));

/** Why there is no such operator's command; null where there is, or where it is none of theirs. */
function problemOf([name = '', ...words]: readonly string[]): string | null {
  const noun = NOUNS.find((one) => one.noun === name);
  if (noun === undefined) return problemOfOwn(name, words);
  if (words.length === 0) return null;
  const verb = noun.verbs.find((one) => one.verb === words[0] || one.verb === '');
  if (verb === undefined) return `${name} has no verb ${words[0] ?? ''}`;
  const specs = Object.entries({ ...verb.options, ...COMMON });
  const known = specs.flatMap(([long, { short = '' }]) => [`--${long}`, `-${short}`]);
  const unknown = optionsOf(words).filter((option) => !known.includes(option));
  return unknown.length === 0 ? null : `no option ${unknown.join(', ')}`;
}

/** Of all other commands: their help has the words that follow, and names the options. */
function problemOfOwn(name: string, words: readonly string[]): string | null {
  if (!new RegExp(`^  ${name} `, 'm').test(muster('--help'))) return `no command ${name}`;
  if (name === 'completion') return null;
  const settings = name === 'serve' ? readFileSync('docs/configuration.md', 'utf8') : '';
  const help = muster(name, '--help') + settings;
  const isVerb = ['ca', 'log'].includes(name);
  const asked = [...(isVerb ? words.slice(0, 1) : []), ...optionsOf(words)];
  const unknown = asked.filter((word) => !['-h', '--help'].includes(word) && !help.includes(word));
  return unknown.length === 0 ? null : `the help of ${name} does not have ${unknown.join(', ')}`;
}

it.each([
  ['rollout trase stable', 'no verb trase'],
  ['host shew web-01', 'no verb shew'],
  ['no-such-command', 'no command no-such-command'],
  ['status --collour', 'no option --collour'],
  ['log varify', 'does not have varify'],
  ['replay --varify', 'does not have --varify'],
])('notices muster %s', (line, problem) => {
  expect(problemOf(line.split(' '))).toContain(problem);
});

it('documents commands that there are', () => {
  const found = pages.flatMap((page) =>
    commandsIn(page).map((words) => [path.basename(page), words] as const),
  );
  expect(found.length).toBeGreaterThan(100);
  const wrong = found.flatMap(([page, words]) => {
    const problem = problemOf(words);
    return problem === null ? [] : [`${page}: muster ${words.join(' ')}: ${problem}`];
  });
  expect(wrong).toEqual([]);
});
