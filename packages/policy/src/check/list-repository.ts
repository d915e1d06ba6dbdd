import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { quote } from '../document/describe.ts';
import type { Report } from '../document/report.ts';

/** How many files one folder of a repository may hold. */
export const FILES_MAX = 2000;

/** The files of a repository by what they are, as paths relative to its folder, sorted. */
export interface RepositoryFiles {
  readonly surfaces: readonly string[];
  readonly apiDescriptions: readonly string[];
  readonly policies: readonly string[];
  readonly tests: readonly string[];
  readonly identities: readonly string[];
  readonly federation: readonly string[];
  readonly entities: readonly string[];
  readonly partners: readonly string[];
  readonly playbooks: readonly string[];
  readonly hasSchema: boolean;
}

const SCHEMA_FILE = 'schema.cedarschema';
const API_DESCRIPTION = /\.openapi\.(yaml|json)$/;

/** Lists what a repository holds; a file that nobody reads is a warning, because its author thinks otherwise. */
export async function listRepository(folder: string, report: Report): Promise<RepositoryFiles> {
  const list = async (name: string, accept: RegExp, ignore: RegExp, ending: string) => {
    const files = await filesIn(folder, name, report);
    for (const file of files) {
      if (accept.test(file) || ignore.test(file)) continue;
      report.warn(
        { file: `${name}/${file}` },
        {
          found: `${quote(file)}, which nothing reads`,
          expected: `names that end in ${ending}`,
          mend: 'rename or move it',
        },
      );
    }
    return files.filter((file) => accept.test(file)).map((file) => `${name}/${file}`);
  };
  const besides = /^(README\.md|\..*)$/;
  const yaml = /\.yaml$/;
  const surfaces = await list(
    'surfaces',
    /\.(yaml|openapi\.json)$/,
    besides,
    '.yaml or .openapi.json',
  );
  const policies = await list(
    'policies',
    /\.cedar$/,
    /^(README\.md|\..*|schema\.cedarschema|tests)$/,
    '.cedar',
  );
  return {
    surfaces: surfaces.filter((file) => !API_DESCRIPTION.test(file)),
    apiDescriptions: surfaces.filter((file) => API_DESCRIPTION.test(file)),
    policies,
    tests: await list('policies/tests', yaml, besides, '.yaml'),
    identities: await list('identities', yaml, besides, '.yaml'),
    federation: await list('federation', yaml, besides, '.yaml'),
    entities: await list('entities', yaml, besides, '.yaml'),
    partners: await list('partners', yaml, besides, '.yaml'),
    playbooks: await list('playbooks', yaml, besides, '.yaml'),
    hasSchema: (await filesIn(folder, 'policies', report)).includes(SCHEMA_FILE),
  };
}

/** The names in a folder of the repository, sorted; none when it is not there. */
export async function filesIn(folder: string, name: string, report: Report): Promise<string[]> {
  let names: string[];
  try {
    names = await readdir(join(folder, name));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    // A folder that a bank does not need need not be there.
    if (code !== 'ENOENT') {
      report.error(
        { file: name },
        {
          found: `${quote(name)} (${code})`,
          expected: 'a folder that can be read',
          mend: 'correct it',
        },
      );
    }
    return [];
  }
  if (names.length > FILES_MAX) {
    report.error(
      { file: name },
      {
        found: `${names.length} files`,
        expected: `at most ${FILES_MAX}`,
        mend: 'put several in one file',
      },
    );
  }
  return names.toSorted().slice(0, FILES_MAX);
}
