import { CommandError } from '../command-line/command.ts';

/** The example bank's front door. */
export type ExampleBank = typeof import('@countersign/example-bank');

/**
 * The example bank, which only the demo needs: an installation without it runs all other commands.
 *
 * @throws {CommandError} when it is not there
 */
export async function loadExampleBank(): Promise<ExampleBank> {
  try {
    return await import('@countersign/example-bank');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new CommandError(
      'cannot find the example bank: install @countersign/example-bank beside the command, or run it from a checkout',
      { cause },
    );
  }
}
