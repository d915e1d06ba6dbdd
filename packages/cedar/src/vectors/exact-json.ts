/** As `JSON.parse`, but integers that a double cannot hold come as bigints, digit by digit. */
export function parseExactJson(text: string): unknown {
  // Fifteen digits are always exact, so a text without a longer run needs no second look.
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  const parse = JSON.parse as (
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ) => unknown;
  return parse(text, (_key, value, { source }) =>
    typeof value === 'number' &&
    !Number.isSafeInteger(value) &&
    source !== undefined &&
    /^-?\d+$/.test(source)
      ? BigInt(source)
      : value,
  );
}
