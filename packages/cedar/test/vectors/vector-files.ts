import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { VectorFiles } from '#src/vectors/run-vectors.ts';

/** The disk, as `runVectors` wants it. */
export const vectorFiles: VectorFiles = {
  readFile: (path) => readFileSync(path, 'utf8'),
  listFiles: (path) =>
    statSync(path).isFile()
      ? undefined
      : readdirSync(path, { recursive: true, encoding: 'utf8' }).map((name) => join(path, name)),
};
