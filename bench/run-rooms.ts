import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Runs `packages/<room>/bench/<name>.bench.ts` one after the other, each in a process of its own: two at a
 * time would measure each other. Resolves with the files that failed.
 */
export async function runRooms(root: string): Promise<readonly string[]> {
  const failed: string[] = [];
  for (const file of globSync('packages/*/bench/*.bench.ts', { cwd: root }).toSorted()) {
    process.stdout.write(`\n${file}\n`);
    const child = spawn(process.execPath, ['--conditions=@countersign/source', join(root, file)], {
      cwd: root,
      stdio: 'inherit',
    });
    const [code] = await once(child, 'exit');
    if (code !== 0) failed.push(file);
  }
  return failed;
}
