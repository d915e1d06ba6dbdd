export const FAULT_LENGTH_MAX = 600;

/** The whole chain of causes in one line: the outermost says only that something went wrong. */
export function faultOf(error: unknown): string {
  const parts: string[] = [];
  for (let each = error; each instanceof Error && parts.length < 5; each = each.cause) {
    const code = (each as { error?: unknown }).error;
    parts.push(typeof code === 'string' ? `${each.message} (${code})` : each.message);
  }
  // What openid-client says of anything unforeseen says nothing where a cause is told.
  if (parts.length > 1 && parts[0] === 'something went wrong') parts.shift();
  // A cause is often told by what it caused.
  return parts
    .filter((part, index) => !parts.slice(0, index).some((before) => before.includes(part)))
    .join(': ')
    .replace(/[\p{C}\s]+/gu, ' ')
    .slice(0, FAULT_LENGTH_MAX);
}
