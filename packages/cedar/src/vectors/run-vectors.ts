import type { CedarEngine } from '../engine.ts';
import { parseCedarJson } from '../json/parse-cedar-json.ts';
import { type LoadedVectorTest, loadVectorTest } from './load-vector-test.ts';
import { looksLikeTest, readVectorTest } from './read-vector-test.ts';
import type { ExpectedAnswer, VectorAnswer, VectorRequest, VectorTest } from './vector-test.ts';

/** How tests reach their files; the room itself knows no disk. */
export interface VectorFiles {
  /** @throws when there is no such file */
  readonly readFile: (path: string) => string | Promise<string>;
  /** The paths of all files below a folder, however deep; nothing when the path is a file's. */
  readonly listFiles: (
    path: string,
  ) => readonly string[] | undefined | Promise<readonly string[] | undefined>;
}

export interface RunVectorsOptions extends VectorFiles {
  /** What paths within tests are relative to. */
  readonly root: string;
  readonly engine: CedarEngine;
  /** Called after each test with what was run until then. */
  readonly onProgress?: (done: { readonly tests: number; readonly requests: number }) => void;
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
  /** Its description; empty when the test could not be read at all. */
  readonly request: string;
  readonly expected?: ExpectedAnswer;
  readonly got: VectorAnswer | { readonly error: string };
}

/** Tests under way at once: while one waits for the thread that parses, another decides. */
const CONCURRENT = 4;

/**
 * Runs tests in the format of the official suite: one file, or all in a folder and below.
 *
 * Policies are parsed but not validated, entities and contexts are read as the schema says, and requests are
 * checked against it unless they say `"validateRequest": false`. What cannot be read or loaded is a mismatch of
 * every request that it keeps from being decided, never an exception.
 *
 * Templates stand among the policies. Their links stand in the test (`"templateLinks"`, in cedar-wasm's form or
 * that of the official command line), or in a file beside the policies: `x.links.json` beside `x.cedar`.
 */
export async function runVectors(path: string, options: RunVectorsOptions): Promise<VectorReport> {
  const listed = await options.listFiles(path);
  const files = listed === undefined ? [path] : listed.filter(mayBeTest).sort();
  const reports: VectorReport[] = [];
  const done = { tests: 0, requests: 0 };
  let next = 0;
  const work = async () => {
    for (let index = next++; index < files.length; index = next++) {
      const report = await runFile(files[index] as string, options, listed === undefined);
      reports[index] = report;
      done.tests += report.tests;
      done.requests += report.requests;
      options.onProgress?.({ ...done });
    }
  };
  await Promise.all(Array.from({ length: CONCURRENT }, work));
  return { ...done, mismatches: reports.flatMap((report) => report.mismatches) };
}

/** By its name alone; what else is no test is seen when it is read. */
function mayBeTest(path: string): boolean {
  return path.endsWith('.json') && !/\.(entities|links|cedarschema)\.json$/.test(path);
}

const NOTHING: VectorReport = { tests: 0, requests: 0, mismatches: [] };

async function runFile(
  file: string,
  options: RunVectorsOptions,
  isAskedFor: boolean,
): Promise<VectorReport> {
  let test: VectorTest;
  try {
    const json = parseCedarJson(await options.readFile(file));
    // Folders hold entities and schemas as well.
    if (!isAskedFor && !looksLikeTest(json)) return NOTHING;
    test = readVectorTest(json);
  } catch (error) {
    const mismatch = { test: file, request: '', got: { error: messageOf(error) } };
    return { tests: 1, requests: 0, mismatches: [mismatch] };
  }
  const loaded = await load(test, options);
  return {
    tests: 1,
    requests: test.requests.length,
    mismatches: test.requests.flatMap((request) => {
      const got = 'error' in loaded ? loaded : answer(request, loaded);
      const { description, expected } = request;
      return isAsExpected(expected, got)
        ? []
        : [{ test: file, request: description, expected, got }];
    }),
  };
}

async function load(
  test: VectorTest,
  { engine, root, readFile }: RunVectorsOptions,
): Promise<LoadedVectorTest | { readonly error: string }> {
  const read = async (path: string) => {
    try {
      return await readFile(isAbsolute(path) ? path : `${root}/${path}`);
    } catch {
      return undefined;
    }
  };
  try {
    return await loadVectorTest(test, { engine, read });
  } catch (error) {
    return { error: messageOf(error) };
  }
}

function isAbsolute(path: string): boolean {
  return path.startsWith('/') || /^[A-Za-z]:[\\/]/.test(path);
}

function answer(
  { principal, action, resource, context, validateRequest }: VectorRequest,
  { set, entities }: LoadedVectorTest,
): VectorMismatch['got'] {
  const request = { principal, action, resource, context };
  const { decision, reasons, errors } = set.authorize(request, entities, { validateRequest });
  const [refusal] = errors;
  if (refusal?.policy === '') return { error: refusal.message };
  return { decision, reason: reasons, errors: errors.map(({ policy }) => policy) };
}

function isAsExpected(expected: ExpectedAnswer, got: VectorMismatch['got']): boolean {
  return (
    !('error' in got) &&
    got.decision === expected.decision &&
    (expected.reason === undefined || isSameSet(got.reason, expected.reason)) &&
    (expected.errors === undefined || isSameSet(got.errors, expected.errors))
  );
}

function isSameSet(one: readonly string[], other: readonly string[]): boolean {
  const ids = new Set(one);
  return ids.size === new Set(other).size && other.every((id) => ids.has(id));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
