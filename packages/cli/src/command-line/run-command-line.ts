import { parseArgs } from 'node:util';
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
  const [first] = words;
  if (first === undefined || first === '--help' || first === '-h' || first === 'help') {
    const named = first === 'help' ? findCommand(words.slice(1), commands) : undefined;
    const page = named ? commandHelp(named.command) : overview(commands, version);
    (first === undefined ? io.err : io.out)(page);
    return first === undefined ? EXIT.usage : EXIT.ok;
  }
  if (first === '--version' || first === '-v' || first === 'version') {
    io.out(`${version}\n`);
    return EXIT.ok;
  }
  const found = findCommand(words, commands);
  if (!found) {
    const near = nearest(
      first,
      commands.map((command) => command.name.split(' ')[0] ?? ''),
    );
    io.err(
      `countersign: unknown command '${words.slice(0, 2).join(' ')}'${near ? `; did you mean '${near}'?` : ''}; see 'countersign --help'\n`,
    );
    return EXIT.usage;
  }
  const { command, rest } = found;
  if (rest.includes('--help') || rest.includes('-h')) {
    io.out(commandHelp(command));
    return EXIT.ok;
  }
  try {
    return await command.run(parse(command, rest), io);
  } catch (error) {
    if (error instanceof UsageError) {
      io.err(`countersign ${command.name}: ${error.message}\n`);
      return EXIT.usage;
    }
    if (error instanceof CommandError || isOurs(error)) {
      io.err(`countersign ${command.name}: ${error.message}\n`);
      return EXIT.failed;
    }
    io.err(`countersign ${command.name}: ${error instanceof Error ? error.stack : error}\n`);
    return EXIT.failed;
  }
}

function findCommand(
  words: readonly string[],
  commands: readonly Command[],
): { command: Command; rest: readonly string[] } | undefined {
  for (const count of [2, 1]) {
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
      args: [...words],
      options,
      allowPositionals: true,
      strict: true,
    }));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new UsageError(`${message.split('. ')[0]}; see 'countersign ${command.name} --help'`);
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

/** Errors of our rooms carry a stable code; their message was written for people. */
function isOurs(error: unknown): error is Error {
  return (
    error instanceof Error &&
    /^(ERR_(MODEL|STATE|SPIFFE|LEDGER|CEDAR|POLICY|DECISION|SDK|IDENTITY|AUDIT|RISK|ENFORCEMENT)_|E[A-Z]+$)/.test(
      (error as { code?: string }).code ?? '',
    )
  );
}
