/** What shells offer for `muster`: bash is asked itself, the others get a script that names every command. */
import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { completion } from '../../src/cli/operate/completion.ts';
import { COMMON } from '../../src/cli/operate/command.ts';
import { NOUNS } from '../../src/cli/operate/nouns.ts';

/** Of `muster serve` and the operators' commands. */
function scriptOf(shell: string): { code: number; script: string } {
  let script = '';
  const write = { write: (text: string) => (script += text) };
  const code = completion([shell], { stdout: write, stderr: write }, ['serve']);
  return { code, script };
}

function flagsOf(noun: string, verb: string): string[] {
  const found = NOUNS.find((one) => one.noun === noun)?.verbs.find((one) => one.verb === verb);
  return Object.keys({ ...found?.options, ...COMMON }).map((name) => `--${name}`);
}

/** What bash itself makes of the script at the end of this line. */
function completed(script: string, line: readonly string[]): string[] {
  const words = line.map((word) => `'${word}'`).join(' ');
  const typed = `COMP_WORDS=(${words}); COMP_CWORD=${String(line.length - 1)}`;
  const all = `${script}\n${typed}; _muster; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const out = execFileSync('bash', ['--norc', '-c', all], { encoding: 'utf8' });
  return out
    .split('\n')
    .filter((word) => word !== '')
    .sort();
}

it('is for three shells, and names every command', () => {
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { code, script } = scriptOf(shell);
    expect(code).toBe(0);
    for (const { noun } of NOUNS) expect(script).toContain(noun);
  }
  expect(scriptOf('tcsh').code).toBe(2);
});

it('offers in bash what the command typed so far would take, and nothing else', () => {
  const { script } = scriptOf('bash');
  const commands = NOUNS.flatMap(({ noun, verbs }) =>
    verbs.map(({ verb }) => ({
      line: ['muster', noun, ...(verb === '' ? [] : [verb]), '--'],
      offered: flagsOf(noun, verb),
    })),
  );
  const others = [
    { line: ['muster', 'host', 'hold', 'web-01', '--'], offered: flagsOf('host', 'hold') },
    { line: ['muster', 'host', 'expl'], offered: ['explain'] },
    { line: ['muster', 'quar'], offered: ['quarantine'] },
    { line: ['muster', 'host', 'list', '--state', 'Re'], offered: ['Reverted'] },
    { line: ['muster', 'host', 'list', '--reachability', 'un'], offered: ['unreachable'] },
    { line: ['muster', 'events', 'tail', '-f', '--kind', 'op'], offered: ['operator_command'] },
    { line: ['muster', 'token', 'create', 'ci', '--role', 'vi'], offered: ['viewer'] },
    { line: ['muster', 'completion', 'f'], offered: ['fish'] },
    { line: ['muster', 'serve', '--'], offered: ['--help'] },
  ];
  for (const { line, offered } of [...commands, ...others])
    expect([line, completed(script, line)]).toEqual([line, offered.sort()]);
});
