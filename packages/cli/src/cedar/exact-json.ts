/** JSON with its bigints as the integers they are, digit by digit. */
export function exactJson(value: unknown): string {
  const { rawJSON } = JSON as typeof JSON & { rawJSON(text: string): unknown };
  return JSON.stringify(value, (_key, each) =>
    typeof each === 'bigint' ? rawJSON(String(each)) : each,
  );
}
