import type { Command } from '@countersign/cli';

/** `docs/reference/commands.md`: every command as its `--help` tells it. */
export function commandsPage(commands: readonly Command[]): string {
  return [
    '# Commands',
    '',
    'Made from the commands themselves by `packages/cli/scripts/write-reference.ts`; `countersign <command> --help` says the same.',
    '',
    'Exit codes: 0 done, 1 done and the answer is negative (problems found, request denied, log not good, point away), 2 wrong usage,',
    '3 could not be done. Answers go to standard output, everything else to standard error. `--json` prints one JSON value on a line.',
    '',
    'Environment: `COUNTERSIGN_DATA` (instead of `--data`), `COUNTERSIGN_PASSPHRASE` (of the keys at rest), `COUNTERSIGN_JOIN_TOKEN`',
    '(instead of `--join-token-file`), `COUNTERSIGN_STOP_WITH_PARENT=1` (end when standard input ends), `NO_COLOR`.',
    '',
    '| command | what it does |',
    '| --- | --- |',
    ...commands.map(
      ({ name, summary }) => `| [\`${name}\`](#${anchor(name)}) | ${cell(summary)} |`,
    ),
    ...commands.flatMap(commandSection),
    '',
  ].join('\n');
}

function commandSection(command: Command): readonly string[] {
  const { name, operands, description, options, examples = [] } = command;
  const rows = Object.entries(options).map(([long, { short, value, multiple, help }]) => {
    const names = [...(short ? [`-${short}`] : []), `--${long}${value ? ` ${value}` : ''}`];
    return `| \`${cell(names.join(', '))}\` | ${cell(help)}${multiple ? ' (may be repeated)' : ''} |`;
  });
  return [
    '',
    `## ${name}`,
    '',
    `    countersign ${name}${operands ? ` ${operands}` : ''} [options]`,
    '',
    description.replaceAll('\n', ' '),
    ...(rows.length > 0 ? ['', '| option | |', '| --- | --- |', ...rows] : []),
    ...(examples.length > 0 ? ['', ...examples.map((example) => `    ${example}`)] : []),
  ];
}

function anchor(name: string): string {
  return name.replaceAll(' ', '-');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
