import { processIo } from './command-line/process-io.ts';
import { runCommandLine } from './command-line/run-command-line.ts';
import { commands } from './commands/registry.ts';
import { version } from './version.ts';

const code = await runCommandLine(process.argv.slice(2), { commands, version, io: processIo() });
// Standard output to a pipe is written asynchronously: leave when it is out.
process.exitCode = code;
process.stdout.write('', () => process.exit(code));
