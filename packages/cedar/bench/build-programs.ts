import { type ExecFileException, execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const BUILD_MINUTES_MAX = 20;

/** A program ready to run, or why it is not measured. */
export type Program = { readonly path: string } | { readonly skipped: string };

export interface Programs {
  readonly nativeCedar: Program;
  readonly opa: Program;
}

/**
 * Builds the peers that are not JavaScript, where their tools are on the machine and their sources can be fetched.
 *
 * @param cache where the results stay: the first build takes minutes, later ones seconds
 */
export async function buildPrograms(
  cache: string,
  { isShort }: { isShort: boolean },
): Promise<Programs> {
  const nativeFolder = join(import.meta.dirname, 'native-cedar');
  const target = join(cache, 'native-cedar');
  const opaFolder = join(import.meta.dirname, 'opa');
  const opaPath = join(cache, 'opa', 'opa-bench');
  return {
    nativeCedar: await build({
      isShort,
      path: join(target, 'release', 'native-cedar-bench'),
      folder: nativeFolder,
      command: 'cargo',
      args: ['build', '--release', '--locked', '--target-dir', target],
    }),
    opa: await build({
      isShort,
      path: opaPath,
      folder: opaFolder,
      command: 'go',
      args: ['build', '-o', opaPath, '.'],
    }),
  };
}

async function build(program: {
  isShort: boolean;
  path: string;
  folder: string;
  command: string;
  args: readonly string[];
}): Promise<Program> {
  const { path, folder, command, args } = program;
  if (program.isShort && !existsSync(path)) {
    return { skipped: 'it was not built before, and a short run does not build' };
  }
  try {
    await promisify(execFile)('nice', ['-n', '10', command, ...args], {
      cwd: folder,
      timeout: BUILD_MINUTES_MAX * 60_000,
      maxBuffer: 64 * 2 ** 20,
    });
    return { path };
  } catch (cause) {
    const { message, stderr } = cause as ExecFileException & { stderr?: string };
    const lines = (stderr ?? message).trim().split('\n');
    return { skipped: `${command} could not build it: ${lines.at(-1)}` };
  }
}
