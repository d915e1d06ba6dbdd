import { cp, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { quote } from '../document/describe.ts';
import { RepositoryError } from '../repository-error.ts';

// The same two levels up from src/init and from dist/init.
const TEMPLATES = fileURLToPath(new URL('../../templates/init', import.meta.url));

/**
 * Writes a small, complete repository: one surface with its API description, a policy, its tests, a
 * partner and a workload. `checkRepository` finds nothing wrong with it.
 *
 * @param folder made when it is not there
 * @throws {RepositoryError} `ERR_POLICY_FOLDER_NOT_EMPTY` rather than overwrite anything,
 *   `ERR_POLICY_FOLDER_UNWRITABLE`
 */
export async function initRepository(folder: string): Promise<void> {
  let present: string[];
  try {
    await mkdir(folder, { recursive: true });
    present = await readdir(folder);
  } catch (error) {
    throw unwritable(folder, error);
  }
  // A repository that was just made under version control has such a file already.
  const inTheWay = present.filter((name) => name !== '.git');
  if (inTheWay.length > 0) {
    throw new RepositoryError(
      'ERR_POLICY_FOLDER_NOT_EMPTY',
      `could not make a repository in ${quote(folder)}: found ${quote(inTheWay[0] ?? '')}, expected an empty folder`,
    );
  }
  try {
    for (const name of await readdir(TEMPLATES)) {
      const options = { recursive: true, force: false, errorOnExist: true };
      await cp(join(TEMPLATES, name), join(folder, name), options);
    }
  } catch (error) {
    throw unwritable(folder, error);
  }
}

function unwritable(folder: string, cause: unknown): RepositoryError {
  const code = (cause as NodeJS.ErrnoException).code ?? 'unknown';
  return new RepositoryError(
    'ERR_POLICY_FOLDER_UNWRITABLE',
    `could not make a repository in ${quote(folder)}: found ${code}, expected a folder that can be written`,
    { cause },
  );
}
