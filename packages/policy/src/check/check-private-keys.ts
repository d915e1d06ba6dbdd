import { filesIn } from './list-repository.ts';
import { holdsPrivateKey, PRIVATE_KEY_WORDS, privateKeyIn } from './read-certificates.ts';
import type { CheckContext } from './repository-source.ts';

const FOLDER = 'trust';

/** Refuses private keys that nothing names: whoever reviews or copies the repository would have them. */
export async function checkPrivateKeys({ folder, report }: CheckContext): Promise<void> {
  const told = new Set(report.problems().map(({ found }) => found));
  for (const name of await filesIn(folder, FOLDER, report)) {
    const file = `${FOLDER}/${name}`;
    if (told.has(privateKeyIn(file)) || !(await holdsPrivateKey(file, folder))) continue;
    report.error({ file }, { found: 'a private key', ...PRIVATE_KEY_WORDS });
  }
}
