/** What the repository's own commands answer to a mistake: a sentence with what there is, and no stack. */
import { describe, expect, it } from 'vitest';
import { readOptions } from '../../bench/options.ts';
import { UsageError } from '../../src/cli/io.ts';
import { readAsked } from '../faults/suite/asked.ts';
import { FAULTS } from '../faults/suite/faults/all.ts';

function complaintOf(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  return '';
}

describe('npm run test:faults', () => {
  it('names the faults that there are', () => {
    const said = complaintOf(() => readAsked(['--only', 'kill-mid-commit,nosuch']));
    expect(said).toMatch(/^there is no fault "nosuch"; there are /);
    for (const { name } of FAULTS) expect(said).toContain(name);
    expect(complaintOf(() => readAsked(['--weaken', 'nosuch']))).toContain('reply-before-commit');
    expect(complaintOf(() => readAsked(['--weaken', 'all,nosuch']))).toContain('no weakening');
    const two = ['--weaken', 'all', '--only', 'notify-lost'];
    expect(complaintOf(() => readAsked(two))).toContain('do not go together');
  });

  it('runs nothing for an option that it does not know', () => {
    expect(complaintOf(() => readAsked(['--nosuch']))).toContain("'--nosuch'");
    expect(readAsked(['--only', 'notify-lost']).faults.map(({ name }) => name)).toEqual([
      'notify-lost',
    ]);
  });
});

describe('npm run bench', () => {
  it.each([[['--nosuch']], [['core', '--rounds', 'x']]])(
    'complains of %j in a sentence',
    (args) => {
      expect(complaintOf(() => readOptions(args))).not.toBe('');
    },
  );

  it('knows --help', () => {
    expect(readOptions(['--help']).help).toBe(true);
  });
});
