import type { Command } from './command.ts';

/** The page for `countersign --help`. */
export function overview(commands: readonly Command[], version: string): string {
  const width = Math.max(...commands.map((command) => command.name.length));
  const lines = commands.map((command) => `  ${command.name.padEnd(width)}  ${command.summary}`);
  return [
    `countersign ${version}: zero-trust access for banks`,
    '',
    'Usage: countersign <command> [options]',
    '',
    'Commands:',
    ...lines,
    '',
    "'countersign <command> --help' tells a command's options and examples.",
    'Exit codes: 0 done, 1 done and the answer is negative, 2 wrong usage, 3 could not be done.',
    '',
  ].join('\n');
}

/** The page for `countersign <command> --help`. */
export function commandHelp(command: Command): string {
  const rows = Object.entries(command.options).map(([name, option]) => ({
    left: `${option.short ? `-${option.short}, ` : '    '}--${name}${option.value ? ` ${option.value}` : ''}`,
    help: option.help,
  }));
  rows.push({ left: '-h, --help', help: 'show this page' });
  const width = Math.max(...rows.map((row) => row.left.length));
  return [
    `Usage: countersign ${command.name}${command.operands ? ` ${command.operands}` : ''} [options]`,
    '',
    command.description,
    '',
    'Options:',
    ...rows.map((row) => `  ${row.left.padEnd(width)}  ${row.help}`),
    ...(command.examples?.length
      ? ['', 'Examples:', ...command.examples.map((example) => `  ${example}`)]
      : []),
    '',
  ].join('\n');
}
