/**
 * `docs/reference/limits.md`: every bound of an enforcement point, with what its comment says.
 *
 * @param limits the bounds
 * @param source the file that declares them, for the comments
 */
export function limitsPage(limits: Readonly<Record<string, number>>, source: string): string {
  const comments = new Map(
    [...source.matchAll(/\/\*\* ([^*]+) \*\/\s+(\w+):/g)].map(([, text = '', name = '']) => [
      name,
      text.replaceAll(/\s+/g, ' ').trim(),
    ]),
  );
  return [
    '# Limits',
    '',
    'Made from `packages/enforcement/src/limits.ts` by `packages/cli/scripts/write-reference.ts`. None is configurable yet.',
    'Bounds of other rooms stand in their READMEs.',
    '',
    '| bound of an enforcement point | value | what it is, and what happens there |',
    '| --- | --- | --- |',
    ...Object.entries(limits).map(
      ([name, value]) => `| \`${name}\` | ${value} | ${comments.get(name) ?? ''} |`,
    ),
    '',
  ].join('\n');
}
