import { SdkError } from '@countersign/sdk';
import { CommandError } from '../command-line/command.ts';

/** How to get in, where a join token is what is missing or not good. */
export function withJoinTokenAdvice(error: unknown, name: string): unknown {
  if (!(error instanceof SdkError)) return error;
  if (error.code !== 'ERR_SDK_NO_IDENTITY' && error.status !== 401) return error;
  return new CommandError(
    `${error.message}; make one on the authority's host: countersign join-token workload/countersign/${name}`,
    { cause: error },
  );
}
