#!/usr/bin/env node
// Starts the command on Node 24: from a checkout straight from the TypeScript sources, from an installed package
// from its built files. Where the `node` that runs this is older, the one that came with the package is used.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const isInstalled = import.meta.dirname.split(/[\\/]/).includes('node_modules');
const builtMain = join(import.meta.dirname, '..', 'dist', 'main.js');
const major = Number(process.versions.node.split('.')[0]);

if (isInstalled && major >= 24) {
  await import(pathToFileURL(builtMain).href);
} else {
  const source = join(import.meta.dirname, '..', 'src', 'main.ts');
  const main = isInstalled ? [builtMain] : ['--conditions=@countersign/source', source];
  const node = major >= 24 ? process.execPath : nodeOfThePackage();
  // A signal to this launcher is a signal to the command; the launcher ends as the command ended.
  const child = spawn(node, [...main, ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(`countersign: cannot start ${node}: ${error.message}\n`);
    process.exit(3);
  });
  child.on('exit', (code, signal) =>
    process.exit(code ?? 128 + (signal ? constants.signals[signal] : 0)),
  );
}

function nodeOfThePackage() {
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
  try {
    const folder = join(
      createRequire(import.meta.url).resolve(`${name}/package.json`),
      '..',
      'bin',
    );
    const file = join(folder, process.platform === 'win32' ? 'node.exe' : 'node');
    if (existsSync(file)) return file;
  } catch {
    // Not published for this platform, or installed without optional dependencies: told below.
  }
  process.stderr.write(
    `countersign: needs Node 24: found ${process.version}, and no ${name} package beside it; install Node 24\n`,
  );
  process.exit(3);
}
