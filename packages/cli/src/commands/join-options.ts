import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Attestation, attestationFromEnvironment, SdkError } from '@countersign/sdk';
import { type Arguments, type Io, type OptionSpec, UsageError } from '../command-line/command.ts';

/** Options of commands that join the authority. */
export const joinOptions: Readonly<
  Record<
    'join-token-file' | 'join-certificate' | 'join-key' | 'join-kubernetes' | 'join-cluster',
    OptionSpec
  >
> = {
  'join-token-file': {
    type: 'string',
    value: 'FILE',
    help: 'holds the join token (or COUNTERSIGN_JOIN_TOKEN)',
  },
  'join-certificate': {
    type: 'string',
    value: 'FILE',
    help: "joins by the host's own certificate, PEM (or COUNTERSIGN_JOIN_CERTIFICATE)",
  },
  'join-key': {
    type: 'string',
    value: 'FILE',
    help: 'its key, PEM (or COUNTERSIGN_JOIN_KEY)',
  },
  'join-kubernetes': {
    type: 'string',
    value: 'TOKEN-FILE',
    help: "joins by the pod's projected service account token (or COUNTERSIGN_JOIN_KUBERNETES)",
  },
  'join-cluster': {
    type: 'string',
    value: 'NAME',
    help: 'whose token that is, where the authority knows several clusters (or COUNTERSIGN_JOIN_CLUSTER)',
  },
};

/** What a subject joins with. */
export interface JoinMeans {
  readonly joinToken?: string;
  readonly attestation?: Attestation;
}

/**
 * The means that the options name; without any, what the environment does.
 *
 * @throws {UsageError} for two means, or half of one
 */
export async function joinMeansOf(
  args: Arguments,
  io: Io,
  warn: (text: string) => void,
): Promise<JoinMeans> {
  const attestation = attestationOf(args, io);
  const tokenFile = args.text('join-token-file');
  if (tokenFile !== undefined && attestation) {
    throw new UsageError('found --join-token-file beside another way to join, expected one');
  }
  if (attestation) return { attestation };
  const joinToken = tokenFile
    ? await readToken(resolve(io.cwd, tokenFile), warn)
    : io.env['COUNTERSIGN_JOIN_TOKEN'];
  return joinToken === undefined ? {} : { joinToken };
}

function attestationOf(args: Arguments, io: Io): Attestation | undefined {
  const path = (name: string): string | undefined => {
    const given = args.text(name);
    return given === undefined ? undefined : resolve(io.cwd, given);
  };
  const certificateFile = path('join-certificate');
  const keyFile = path('join-key');
  const tokenFile = path('join-kubernetes');
  const cluster = args.text('join-cluster');
  if ((certificateFile === undefined) !== (keyFile === undefined)) {
    throw new UsageError('found one of --join-certificate and --join-key, expected both');
  }
  if (certificateFile !== undefined && tokenFile !== undefined) {
    throw new UsageError('found --join-certificate and --join-kubernetes, expected one of them');
  }
  if (cluster !== undefined && tokenFile === undefined) {
    throw new UsageError('found --join-cluster, expected it beside --join-kubernetes');
  }
  if (certificateFile !== undefined && keyFile !== undefined) {
    return { kind: 'certificate', certificateFile, keyFile };
  }
  if (tokenFile !== undefined) {
    return { kind: 'kubernetes', tokenFile, ...(cluster !== undefined && { cluster }) };
  }
  if (args.text('join-token-file') !== undefined) return undefined;
  try {
    return attestationFromEnvironment(io.env);
  } catch (error) {
    if (!(error instanceof SdkError)) throw error;
    throw new UsageError(error.message.replace('could not read environment: ', ''));
  }
}

/** The file may be gone after the first start, which used the token up: a unit file can go on naming it. */
async function readToken(file: string, warn: (text: string) => void): Promise<string | undefined> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    warn(`no join token at ${file}: going on with the SVID that is kept, if there is one`);
    return undefined;
  }
}
