/** The bounds that one constant declares. */
export interface Bounds {
  /** What they are bounds of: `an enforcement point`. */
  readonly of: string;
  readonly limits: Readonly<Record<string, number>>;
  /** The file that declares them, for the comments. */
  readonly source: string;
}

/** `docs/reference/limits.md`: every bound of an enforcement point and of Cedar, with what its comment says. */
export function limitsPage(tables: readonly Bounds[]): string {
  return [
    '# Limits',
    '',
    "Made from the rooms' sources by `packages/cli/scripts/write-reference.ts`. None is configurable yet.",
    'Bounds of other rooms stand in their READMEs.',
    '',
    ...tables.flatMap(tableOf),
  ].join('\n');
}

function tableOf({ of, limits, source }: Bounds): readonly string[] {
  const comments = new Map(
    [...source.matchAll(/\/\*\* ([^*]+) \*\/\s+(\w+):/g)].map(([, text = '', name = '']) => [
      name,
      text.replaceAll(/\s+/g, ' ').trim(),
    ]),
  );
  return [
    `| bound of ${of} | value | what it is, and what happens there |`,
    '| --- | --- | --- |',
    ...Object.entries(limits).map(
      ([name, value]) => `| \`${name}\` | ${value} | ${comments.get(name) ?? ''} |`,
    ),
    '',
  ];
}
