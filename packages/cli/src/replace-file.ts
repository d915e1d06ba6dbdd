import { open, rename } from 'node:fs/promises';

/** At once: whoever reads the file meanwhile gets the old one or the new one. */
export async function replaceFile(
  path: string,
  text: string,
  { mode = 0o644 }: { readonly mode?: number } = {},
): Promise<void> {
  const temporary = `${path}.new`;
  const file = await open(temporary, 'w', mode);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}
