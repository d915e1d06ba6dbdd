import { parseArgs } from 'node:util';
import { printable } from '../record/printable.ts';
import {
  type Arguments,
  type Command,
  CommandError,
  EXIT,
  type Io,
  UsageError,
} from './command.ts';
import { commandHelp, overview } from './help.ts';
import { nearest } from './nearest.ts';

/**
 * Runs what the words ask for and gives the exit code. Errors that a user can mend are one line
 * on standard error; anything else is a bug and shows its stack.
 */
export async function runCommandLine(
  words: readonly string[],
  { commands, version, io }: { commands: readonly Command[]; version: string; io: Io },
): Promise<number> {
  const [first, second] = words;
  if (first === undefined || first === '--help' || first === '-h' || first === 'help') {
    const asked = first === 'help' ? words.slice(1) : [];
    const named = findCommand(asked, commands);
    if (asked.length > 0 && !named) return unknownCommand(asked, commands, io);
    const page = named ? commandHelp(named.command) : overview(commands, version);
    (first === undefined ? io.err : io.out)(page);
    return first === undefined ? EXIT.usage : EXIT.ok;
  }
  if (first === '--version' || first === '-v' || first === 'version') {
    io.out(`${version}\n`);
    return EXIT.ok;
  }
  const group = commands.filter(({ name }) => name.startsWith(`${first} `));
  if (group.length > 1 && (second === undefined || second === '--help' || second === '-h')) {
    (second === undefined ? io.err : io.out)(overview(group, version));
    return second === undefined ? EXIT.usage : EXIT.ok;
  }
  const found = findCommand(words, commands);
  if (!found) return unknownCommand(words, commands, io);
  const { command, rest } = found;
  const options = rest.slice(0, rest.includes('--') ? rest.indexOf('--') : undefined);
  if (options.includes('--help') || options.includes('-h')) {
    io.out(commandHelp(command));
    return EXIT.ok;
  }
  try {
    return await command.run(parse(command, rest), io);
  } catch (error) {
    if (error instanceof UsageError) {
      io.err(`countersign ${command.name}: ${readable(error.message)}\n`);
      return EXIT.usage;
    }
    if (error instanceof CommandError || isOurs(error)) {
      io.err(`countersign ${command.name}: ${readable(error.message)}\n`);
      return EXIT.failed;
    }
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    io.err(`countersign ${command.name}: ${readable(stack)}\n`);
    return EXIT.failed;
  }
}

/** Messages quote what stood in files and requests: none of it is obeyed by a terminal. */
function readable(message: string): string {
  return message.split('\n').map(printable).join('\n');
}

/** Names what was probably meant: a command, or those that a first word alone begins. */
function unknownCommand(words: readonly string[], commands: readonly Command[], io: Io): number {
  const [first = '', second = ''] = words;
  const names = commands.map(({ name }) => name);
  const begun = names.filter((name) => name.startsWith(`${first} `));
  const typed = second === '' || second.startsWith('-') ? first : `${first} ${second}`;
  const near =
    nearest(typed, names) ?? (begun.length > 0 ? begun.join("' or '") : nearest(first, names));
  io.err(
    `countersign: unknown command '${typed}'${near ? `; did you mean '${near}'?` : ''}; see 'countersign --help'\n`,
  );
  return EXIT.usage;
}

function findCommand(
  words: readonly string[],
  commands: readonly Command[],
): { command: Command; rest: readonly string[] } | undefined {
  for (const count of [3, 2, 1]) {
    const name = words.slice(0, count).join(' ');
    const command = commands.find((candidate) => candidate.name === name);
    if (command) return { command, rest: words.slice(count) };
  }
  return undefined;
}

function parse(command: Command, words: readonly string[]): Arguments {
  let values: Record<string, unknown>;
  let operands: string[];
  try {
    const options = Object.fromEntries(
      Object.entries(command.options).map(([name, { type, short, multiple }]) => [
        name,
        { type, ...(short && { short }), ...(multiple && { multiple }) },
      ]),
    );
    ({ values, positionals: operands } = parseArgs({
      args: protectIds(words, command),
      options,
      allowPositionals: true,
      strict: true,
    }));
  } catch (error) {
    throw new UsageError(
      `${optionFault(error, command)}; see 'countersign ${command.name} --help'`,
    );
  }
  const most = command.operandsMax ?? 0;
  if (operands.length > most) {
    throw new UsageError(`found operand '${operands[most]}', expected at most ${most}`);
  }
  return {
    operands,
    text: (name) => values[name] as string | undefined,
    texts: (name) => (values[name] as string[] | undefined) ?? [],
    flag: (name) => values[name] === true,
  };
}

/**
 * Ids are base64url and one in 64 begins with `-`: such a word is a value or an operand, whatever it looks
 * like. No option of ours is as long.
 */
function protectIds(words: readonly string[], { options }: Command): string[] {
  const kept: string[] = [];
  const operands: string[] = [];
  for (const [index, word] of words.entries()) {
    if (word === '--') return [...kept, '--', ...operands, ...words.slice(index + 1)];
    const last = kept.at(-1) ?? '';
    if (!/^-[A-Za-z0-9_-]{20,}$/.test(word) || word.slice(2) in options) kept.push(word);
    else if (options[last.slice(2)]?.type === 'string') kept[kept.length - 1] = `${last}=${word}`;
    else operands.push(word);
  }
  return operands.length > 0 ? [...kept, '--', ...operands] : kept;
}

/** What `parseArgs` found wrong, in our words. */
function optionFault(error: unknown, { options }: Command): string {
  const message = error instanceof Error ? error.message : String(error);
  const [, quoted = ''] = /'(?:-\w, )?(--?[^\s'=]+)/.exec(message) ?? [];
  const code = (error as { code?: string }).code;
  if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
    const near = nearest(
      quoted,
      [...Object.keys(options), 'help'].map((name) => `--${name}`),
    );
    return `found option '${quoted}', expected ${near ? `'${near}'?` : 'one of this command'}`;
  }
  if (code === 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE') {
    const spec = options[quoted.slice(2)];
    return spec?.type === 'boolean'
      ? `found a value for '${quoted}', expected none`
      : `found no value for '${quoted}', expected ${spec?.value ?? 'one'}`;
  }
  return message.split('. ')[0] ?? message;
}

/** Errors of our rooms carry a stable code; their message was written for people. */
function isOurs(error: unknown): error is Error {
  return (
    error instanceof Error &&
    /^(ERR_(MODEL|STATE|SPIFFE|LEDGER|CEDAR|POLICY|DECISION|SDK|IDENTITY|AUDIT|RISK|ENFORCEMENT)_|E[A-Z]+$)/.test(
      (error as { code?: string }).code ?? '',
    )
  );
}
