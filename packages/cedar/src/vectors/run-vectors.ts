import type { CedarEntity, CedarUid } from '../engine.ts';
import { parseExactJson } from './exact-json.ts';
import { looksLikeTest, readLinks, readUid, readVectorTest } from './read-vector-test.ts';
import { splitByPosition } from './split-by-position.ts';
import type { VectorAnswer, VectorLink, VectorRequest, VectorTest } from './vector-test.ts';

/** How tests reach their files; the room itself knows no disk. */
export interface VectorFiles {
  /** @throws when there is no such file */
  readonly readFile: (path: string) => string | Promise<string>;
  /** Every file below a folder, however deep; nothing when the path is a file's. */
  readonly listFiles: (
    path: string,
  ) => readonly string[] | undefined | Promise<readonly string[] | undefined>;
}

export interface RunVectorsOptions extends VectorFiles {
  /** What paths within tests are relative to. */
  readonly root: string;
  readonly engine: VectorEngine;
  /** Called after each test. */
  readonly onProgress?: (report: VectorReport) => void;
}

/** What became of a run; JSON, and short when all is well. */
export interface VectorReport {
  readonly tests: number;
  readonly requests: number;
  readonly mismatches: readonly VectorMismatch[];
}

export interface VectorMismatch {
  /** The path of the test's file. */
  readonly test: string;
  /** Its description, or its place among the requests. */
  readonly request: string;
  readonly expected: VectorAnswer | undefined;
  readonly got: VectorAnswer | { readonly error: string };
}

/** Tests under way at once: while one waits for the thread that parses schemas, another decides. */
const CONCURRENT = 4;

/**
 * Runs tests in the format of the official suite: one file, or all in a folder and below.
 *
 * Policies are parsed but not validated, entities and contexts are read as the schema says, and requests are
 * checked against it unless they say `"validateRequest": false`. What cannot be read or loaded is a mismatch of
 * every request that it keeps from being decided, never an exception.
 *
 * Templates stand among the policies. Their links stand in the test (`"templateLinks"`, in cedar-wasm's form or
 * that of the official command line), or in a file beside the policies: `x.cedar` has `x.links.json`.
 */
export async function runVectors(path: string, options: RunVectorsOptions): Promise<VectorReport> {
  const listed = await options.listFiles(path);
  const files = listed ? [...listed].filter(mayBeTest).sort() : [path];
  const reports = new Array<VectorReport>(files.length);
  let next = 0;
  const work = async () => {
    for (let index = next++; index < files.length; index = next++) {
      const file = files[index] as string;
      reports[index] = await runFile(file, options, { isNamed: listed === undefined });
      options.onProgress?.(sum(reports));
    }
  };
  await Promise.all(Array.from({ length: CONCURRENT }, work));
  return sum(reports);
}
