import { join } from 'node:path';

/** True when running from TypeScript sources: children must be started the same way. */
const isSource: boolean = import.meta.filename.endsWith('.ts');

/** The arguments that start Node as this process was started. */
export const nodeArguments: readonly string[] = isSource
  ? ['--conditions=@countersign/source']
  : [];

/** The command line that runs `countersign <words>` in a process of its own. */
export function selfCommand(words: readonly string[]): readonly string[] {
  const main = join(import.meta.dirname, isSource ? 'main.ts' : 'main.js');
  return [process.execPath, ...nodeArguments, main, ...words];
}
