/** `muster completion SHELL`: what a shell needs to complete commands, verbs and options. */
import { EXIT, type Io } from '../io.ts';
import { COMMON, type OperatorNoun, type OperatorVerb } from './command.ts';
import { NOUNS } from './nouns.ts';

export const completionHelp = `muster completion bash|zsh|fish

Prints a script that completes commands, verbs and options.

Examples:
  muster completion bash > /etc/bash_completion.d/muster
  source <(muster completion zsh)
  muster completion fish > ~/.config/fish/completions/muster.fish
`;

const SHELLS = ['bash', 'zsh', 'fish'] as const;

/** A zsh without an .zshrc of its own completes nothing yet; in one that does, this changes nothing. */
const ZSH_BEGINS = `(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }
autoload -U +X bashcompinit && bashcompinit`;

/** `others` are the commands that do not operate: serve, migrate and so on. */
export function completion(args: readonly string[], io: Io, others: readonly string[]): number {
  const script = scriptOf(args[0], others);
  if (script !== null) io.stdout.write(script);
  else if (args.includes('--help') || args.includes('-h')) io.stdout.write(completionHelp);
  else io.stderr.write(`muster: completion is for bash, zsh or fish\n\n${completionHelp}`);
  return script !== null || args.includes('--help') || args.includes('-h') ? EXIT.ok : EXIT.usage;
}

function scriptOf(shell: string | undefined, others: readonly string[]): string | null {
  switch (shell) {
    case 'bash':
      return bash(others);
    case 'zsh':
      return `#compdef muster\n${ZSH_BEGINS}\n${bash(others)}`;
    case 'fish':
      return fish(others);
    default:
      return null;
  }
}

/** What may be written after this very command: flags of its neighbours would be refused. */
function flags({ options }: OperatorVerb): string[] {
  return [...new Set([...Object.keys(options), ...Object.keys(COMMON)])].map((name) => `--${name}`);
}

/** Options that have but a few values. */
function choices({ options }: OperatorVerb): [name: string, of: readonly string[]][] {
  return Object.entries(options).flatMap(([name, { choices: of }]) =>
    of === undefined ? [] : [[name, of]],
  );
}

function verbs(noun: OperatorNoun): string[] {
  return noun.verbs.map(({ verb }) => verb).filter((verb) => verb !== '');
}

function bash(others: readonly string[]): string {
  const words = [...NOUNS.map(({ noun }) => noun), ...others].join(' ');
  const nouns = NOUNS.map((noun) => `    ${noun.noun}) verbs="${verbs(noun).join(' ')}" ;;`);
  const commands = NOUNS.flatMap(({ noun, verbs: all }) =>
    all.map((verb) => `    ${patternOf(noun, verb)}) flags="${flags(verb).join(' ')}" ;;`),
  );
  const values = NOUNS.flatMap(({ noun, verbs: all }) =>
    all.flatMap((verb) =>
      choices(verb).map(
        ([name, of]) => `    ${patternOf(noun, verb)}" --${name}") values="${of.join(' ')}" ;;`,
      ),
    ),
  );
  return `_muster() {
  local word="\${COMP_WORDS[COMP_CWORD]}" verbs="" flags="--help" values=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${words}" -- "$word"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${nouns.join('\n')}
    completion) verbs="${SHELLS.join(' ')}" ;;
  esac
  case "\${COMP_WORDS[1]} \${COMP_WORDS[2]}" in
${commands.join('\n')}
  esac
  case "\${COMP_WORDS[1]} \${COMP_WORDS[2]} \${COMP_WORDS[COMP_CWORD-1]}" in
${values.join('\n')}
  esac
  if [ -n "$values" ]; then
    COMPREPLY=($(compgen -W "$values" -- "$word"))
    return
  fi
  case "$word" in
    -*) COMPREPLY=($(compgen -W "$flags" -- "$word")) ;;
    *) if [ "$COMP_CWORD" -eq 2 ]; then COMPREPLY=($(compgen -W "$verbs" -- "$word")); fi ;;
  esac
}
complete -F _muster muster
`;
}

/** In a shell's `case`: a command without verbs is known by its first word. */
function patternOf(noun: string, { verb }: OperatorVerb): string {
  return verb === '' ? `"${noun} "*` : `"${noun} ${verb}"`;
}

function fish(others: readonly string[]): string {
  const first = NOUNS.map(({ noun, about }) => fishLine('__fish_use_subcommand', noun, about));
  const rest = others.map((name) => fishLine('__fish_use_subcommand', name, ''));
  const second = NOUNS.flatMap((noun) => {
    const inside = `__fish_seen_subcommand_from ${noun.noun}`;
    const before = `${inside}; and not __fish_seen_subcommand_from ${verbs(noun).join(' ')}`;
    return noun.verbs.flatMap((verb) => {
      const own =
        verb.verb === '' ? inside : `${inside}; and __fish_seen_subcommand_from ${verb.verb}`;
      return [
        ...(verb.verb === '' ? [] : [fishLine(before, verb.verb, verb.about)]),
        ...flags(verb).map((flag) => `complete -c muster -f -n '${own}' -l ${flag.slice(2)}`),
        ...choices(verb).map(
          ([name, of]) => `complete -c muster -n '${own}' -l ${name} -x -a '${of.join(' ')}'`,
        ),
      ];
    });
  });
  const unsaid = `not __fish_seen_subcommand_from ${SHELLS.join(' ')}`;
  const inCompletion = `__fish_seen_subcommand_from completion; and ${unsaid}`;
  const shells = SHELLS.map((name) => fishLine(inCompletion, name, ''));
  return `${[...first, ...rest, ...second, ...shells].join('\n')}\n`;
}

function fishLine(when: string, word: string, about: string): string {
  const said = about === '' ? '' : ` -d '${about.replaceAll("'", "\\'")}'`;
  return `complete -c muster -f -n '${when}' -a ${word}${said}`;
}
