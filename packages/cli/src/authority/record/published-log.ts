import { join } from 'node:path';
import { type FetchTile, tileFolder } from '@countersign/ledger';

/** What a published log may be called: one part of a path, whatever it came in. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9@._-]{0,127}$/;

/** Where the published log of a name is read from; nothing for what is no name. */
export function publishedLog(publishedFolder: string, name: string): FetchTile | undefined {
  return NAME.test(name) ? tileFolder(join(publishedFolder, name)).read : undefined;
}
